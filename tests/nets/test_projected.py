"""The projected discriminator: its heads learn, and nothing else."""

from typing import Any

import pytest
import torch
from torch import Tensor

from viceversa.losses import OBJECTIVES
from viceversa.nets.projected import ProjectedDiscriminator, with_coordinates


def images(channels: int = 3, batch: int = 2) -> Tensor:
    return torch.rand(batch, channels, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


def build(in_channels: int = 3, **options: Any) -> ProjectedDiscriminator:
    torch.manual_seed(0)
    return ProjectedDiscriminator(in_channels, **{"side": 32, "size": 32, "features": "lite0", "width": 8, **options})


@pytest.mark.parametrize(
    ("options", "heads"),
    [
        ({}, 5),
        ({"pixels": 0}, 4),
        ({"scales": 2}, 3),
        ({"coordinates": True}, 5),
        ({"mix": "channels"}, 5),
        ({"mix": "none", "pixels": 0}, 4),
    ],
    ids=str,
)
def test_every_head_has_a_channel(options: dict[str, Any], heads: int) -> None:
    logits = build(**options)(images())
    assert logits.shape[:2] == (2, heads)


def test_the_frozen_network_is_no_part_of_it() -> None:
    net = build(pixels=0)
    frozen = {key for key in net.state_dict() if "heads" not in key}
    assert {key.split(".")[0] for key in frozen} == {"mix_channels", "mix_scales", "stamp"}
    assert {name.split(".")[0] for name, _ in net.named_parameters()} == {"heads"}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_takes_what_it_sees(name: str) -> None:
    objective, net = OBJECTIVES[name](), build()
    x = images().requires_grad_()
    seen = net.look(x)
    objective.discriminator(net.judge, real=net.look(images()), fake=seen).backward()
    assert x.grad is None
    assert all(p.grad is not None for p in net.parameters())
    objective.generator(net.judge(seen)).backward()
    assert x.grad.abs().sum() > 0


def test_images_that_are_joined_are_looked_at_apart_and_what_was_seen_is_judged_as_the_image_is() -> None:
    net = build(4, channels=[3, 1]).eval()
    x = images(4)
    base = net(x)
    assert torch.equal(net.judge(net.look(x)), base)
    for channel in (0, 3):
        other = x.clone()
        other[:, channel] = -other[:, channel]
        assert not torch.allclose(net(other)[:, 0], base[:, 0])


def test_coordinates_say_where_each_place_is() -> None:
    seen = with_coordinates(torch.zeros(2, 16, 3, 2))
    assert seen.shape == (2, 18, 3, 2)
    x, y = seen[1, 16:]
    assert torch.equal(x, torch.tensor([[-2.0, 2.0]] * 3))
    assert torch.equal(y, torch.tensor([[-2.0] * 2, [0.0] * 2, [2.0] * 2]))


@pytest.mark.parametrize("coordinates", [False, True])
def test_with_coordinates_the_same_features_are_judged_by_their_place(coordinates: bool) -> None:
    net = build(coordinates=coordinates, side=128, scales=1, pixels=0).eval()
    away_from_the_edges = net.judge(torch.ones(1, 32 * 32 * 64))[0, 0, 3:-3, 3:-3]
    assert (away_from_the_edges.std() > 1e-3) == coordinates
