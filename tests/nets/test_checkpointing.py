"""Activation checkpointing computes the very same, and keeps less."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from viceversa.fast_cpu import accelerate, convolutions, fixed_weights
from viceversa.nets import GENERATORS, Generator
from viceversa.nets.blocks import Block, enable_checkpointing
from viceversa.nets.patchgan import PatchGAN

SIDE = 32
SMALL = {"width": 8, "depth": 4, "blocks": 2, "latent": 8, "size": SIDE, "dropout": 0.5, "norm": "batch"}
CASES = [*GENERATORS.items(), ("wide resnet", GENERATORS["resnet"])]


def build(cls: type[Generator], **options: Any) -> Generator:
    torch.manual_seed(0)
    known = inspect.signature(cls).parameters
    return cls(3, 3, **{key: value for key, value in {**SMALL, **options}.items() if key in known})


def learn(net: Generator, dtype: torch.dtype, seen: list[int]) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Translate twice, with features where there are any, and return the gradients and what the network then holds."""
    own_dtype = torch.float64 if dtype == torch.float64 else torch.float32
    net = net.to(own_dtype, memory_format=torch.channels_last)
    x = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)).to(own_dtype)
    torch.manual_seed(2)

    def keep(tensor: Tensor) -> Tensor:
        seen.append(tensor.untyped_storage().data_ptr())
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        fixed_weights(),
        torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16),
    ):
        y = net(x)
        back, features = net.translate_with_features(y, net.feature_names[:3])
        loss = back.double().square().mean() + sum(feature.double().abs().mean() for feature in features)
    loss.backward()
    return [p.grad for p in net.parameters() if p.grad is not None], net.state_dict()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("name", "cls"), CASES, ids=[name for name, _ in CASES])
def test_the_same_bitwise_with_less_kept(
    name: str, cls: type[Generator], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolutions, "WINOGRAD_CHANNELS", 16)  # so that small networks, too, go by it
    options = {"norm": "instance", "dropout": 0.0, "width": 16} if name == "wide resnet" else {}
    plain, forgetful = build(cls, **options), build(cls, **options)
    for net in (plain, forgetful):
        accelerate(net)
    enable_checkpointing(forgetful)
    kept: tuple[list[int], list[int]] = ([], [])
    wanted, found = learn(plain, dtype, kept[0]), learn(forgetful, dtype, kept[1])
    assert len(wanted[0]) == len(found[0]) > 0
    assert all(map(torch.equal, found[0], wanted[0]))
    assert all(torch.equal(found[1][key], value) for key, value in wanted[1].items())
    assert len(set(kept[1])) < 0.8 * len(set(kept[0]))


def test_only_generators_are_checkpointed_and_only_where_gradients_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    both = nn.ModuleDict({"G": build(GENERATORS["resnet"]), "D": PatchGAN(3, width=8)})
    enable_checkpointing(both)
    marked = {name: {m.checkpointed for m in net.modules() if isinstance(m, Block)} for name, net in both.items()}
    assert marked == {"G": {True}, "D": {False}}
    monkeypatch.delattr(torch.utils.checkpoint, "checkpoint")
    with torch.no_grad():
        both["G"](torch.zeros(1, 3, SIDE, SIDE))
