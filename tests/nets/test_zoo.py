"""Every registered network, in every layout and precision: a new one is covered by being registered."""

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from viceversa import fast_cpu, registry
from viceversa.config import ConfigError
from viceversa.fast_cpu import accelerate
from viceversa.nets import DISCRIMINATORS, GENERATORS, Generator
from viceversa.nets.blocks import Block, enable_checkpointing
from viceversa.nets.patchgan import PatchGAN
from viceversa.nets.resnet import ResNetGenerator

SIDE = 32
SMALL = {"width": 8, "depth": 4, "blocks": 2, "latent": 8, "size": SIDE, "side": SIDE, "features": "lite0"}
LAYOUTS = [torch.contiguous_format, torch.channels_last]
EVERY = [*GENERATORS.items(), *DISCRIMINATORS.items()]
every_network = pytest.mark.parametrize("cls", [c for _, c in EVERY], ids=[n for n, _ in EVERY])
WITH_FEATURES = [n for n, c in GENERATORS.items() if c.tap_channels is not Generator.tap_channels]
every_generator = pytest.mark.parametrize("cls", GENERATORS.values(), ids=GENERATORS.keys())


def build(cls: type[nn.Module], **options: Any) -> nn.Module:
    """Build a small one, from a fixed seed."""
    torch.manual_seed(0)
    known = inspect.signature(cls).parameters
    options = {**{key: value for key, value in SMALL.items() if key in known}, **options}
    return cls(3, 3, **options) if issubclass(cls, Generator) else cls(3, **options)


def images(batch: int) -> Tensor:
    return torch.rand(batch, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) * 2 - 1


def run(net: nn.Module, x: Tensor, layout: torch.memory_format) -> tuple[Tensor, Tensor]:
    """Return the output and all gradients in one vector, for an incoming gradient that has the same layout."""
    net = net.to(x.dtype).to(memory_format=layout)
    x = x.to(memory_format=layout).requires_grad_()
    y = net(x)
    pattern = torch.rand(y.shape, generator=torch.Generator().manual_seed(2)) - 0.5
    y.backward(pattern.to(y.dtype).to(memory_format=layout))
    gradients = [x.grad, *(p.grad for p in net.parameters())]
    return y.detach(), torch.cat([g.flatten().double() for g in gradients if g is not None])


def distance(a: Tensor, b: Tensor) -> float:
    a, b = a.detach().double(), b.detach().double()
    return float((a - b).norm() / b.norm())


@every_network
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("layout", LAYOUTS, ids=["contiguous", "channels_last"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_output_and_gradient_do_not_depend_on_layout_or_precision(
    cls: type[nn.Module], dtype: torch.dtype, layout: torch.memory_format, batch: int
) -> None:
    torch.manual_seed(3)  # dropout
    wanted = run(build(cls).eval(), images(batch).double(), torch.contiguous_format)
    found = run(build(cls).eval(), images(batch).to(dtype), layout)
    limit = 1e-4 if dtype == torch.float32 else 1e-10
    assert distance(found[0], wanted[0]) < limit
    assert distance(found[1], wanted[1]) < limit


@every_network
@pytest.mark.parametrize("layout", LAYOUTS, ids=["contiguous", "channels_last"])
def test_trains_under_bf16_autocast(cls: type[nn.Module], layout: torch.memory_format) -> None:
    wanted = build(cls).eval()(images(2))
    net = build(cls).to(memory_format=layout)
    with torch.autocast("cpu", torch.bfloat16):
        found = net.eval()(images(2).to(memory_format=layout))
        net.train()(images(2).to(memory_format=layout)).float().square().mean().backward()
    assert distance(found, wanted) < 0.1
    used = [p.grad for p in net.parameters() if p.grad is not None]
    assert used
    assert all(g.isfinite().all() for g in used)


@every_generator
def test_generators_keep_size_change_channels_and_treat_each_image_alone(cls: type[Generator]) -> None:
    torch.manual_seed(0)
    options = {key: value for key, value in SMALL.items() if key in inspect.signature(cls).parameters}
    net, x = cls(2, 5, **options).eval(), images(3)[:, :2]
    assert SIDE % net.multiple == 0
    y = net(x)
    assert y.shape == (3, 5, SIDE, SIDE)
    assert y.abs().max() <= 1
    torch.testing.assert_close(torch.cat([net(one) for one in x.split(1)]), y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", WITH_FEATURES)
def test_features_are_named_and_stop_at_the_last_one(name: str) -> None:
    net, x = build(GENERATORS[name]).eval(), images(1)
    names = list(net.tap_channels())
    assert names[:3] == ["input", "down1", "down2"]
    found = net.features(x, names)
    assert [f.shape[1] for f in found] == net.feature_channels(names)

    calls: list[nn.Module] = []
    for layer in net.modules():
        layer.register_forward_hook(lambda module, *_: calls.append(module))
    again = net.features(x, ["down1", "input"])
    assert torch.equal(again[0], found[1])
    assert torch.equal(again[1], found[0])
    assert sum(isinstance(layer, nn.Conv2d) for layer in calls) <= 3  # the stem, and down1 of at most two

    with pytest.raises(ValueError, match=r"'down99' does not exist.*known: input, down1"):
        net.features(x, ["down99"])


def learn(net: Generator, dtype: torch.dtype, seen: list[int]) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Translate twice, with features where there are any, and return the gradients and what the network then holds."""
    own_dtype = torch.float64 if dtype == torch.float64 else torch.float32
    net = net.to(own_dtype, memory_format=torch.channels_last)
    x = images(2).to(own_dtype)
    torch.manual_seed(2)

    def keep(tensor: Tensor) -> Tensor:
        seen.append(tensor.untyped_storage().data_ptr())
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16),
    ):
        y = net(x)
        back, features = net.translate_with_features(y, list(net.tap_channels())[:3])
        loss = back.double().square().mean() + sum(feature.double().abs().mean() for feature in features)
    loss.backward()
    return [p.grad for p in net.parameters() if p.grad is not None], net.state_dict()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", [*GENERATORS, "wide resnet"])
def test_checkpointing_computes_the_same_bitwise_with_less_kept(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls = GENERATORS.get(name, ResNetGenerator)
    monkeypatch.setattr(fast_cpu, "WINOGRAD_CHANNELS", 16)  # so that small networks, too, go by it
    chosen = {"norm": "instance", "width": 16} if name == "wide resnet" else {"norm": "batch", "dropout": 0.5}
    options = {key: value for key, value in chosen.items() if key in inspect.signature(cls).parameters}
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
    both = nn.ModuleDict({"G": build(ResNetGenerator), "D": build(PatchGAN)})
    enable_checkpointing(both)
    marked = {name: {m.checkpointed for m in net.modules() if isinstance(m, Block)} for name, net in both.items()}
    assert marked == {"G": {True}, "D": {False}}
    monkeypatch.delattr(torch.utils.checkpoint, "checkpoint")
    with torch.no_grad():
        both["G"](images(1))


IMPOSSIBLE = [
    *((name, {option: bad}, option) for name, _ in EVERY for option, bad in (("width", 0), ("norm", "bathc"))),
    ("resnet", {"blocks": -1}, "blocks"),
    ("resnet", {"dropout": 1.0}, "dropout"),
    ("resnet", {"padding": "wrap"}, "padding"),
    ("resnet", {"upsample": "bicubic"}, "upsample"),
    ("resnet", {"mask": True}, "equal channels, not 3 and 1"),
    ("unet", {"depth": 1}, "depth"),
    ("resnet_vae", {"blocks": 3}, "blocks=3 cannot be halved"),
    ("res_vae", {"norm": "group", "width": 4}, "use a width divisible by 8"),
    ("vae1", {}, "must be 32, 48, ... px, not 100"),
    ("vaegan", {}, "8, 16, 32, ... px, not 100"),
    ("patchgan", {"layers": 0}, "layers"),
    ("patchgan", {"augment": ["sepia"]}, "augment"),
    ("projected", {"side": 100}, "side=100"),
]


@pytest.mark.parametrize(("name", "options", "message"), IMPOSSIBLE, ids=str)
def test_impossible_options_are_refused(name: str, options: dict[str, object], message: str) -> None:
    table, channels = (GENERATORS, (3, 1)) if name in GENERATORS else (DISCRIMINATORS, (3,))

    def make() -> object:
        return registry.create(
            table, "net", registry.complete(table, "net", {"name": name, **options}), *channels, size=100
        )

    with pytest.raises(ConfigError, match=message):
        make()
