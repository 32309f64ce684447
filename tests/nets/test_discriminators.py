"""How far discriminators see and how large their maps are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from viceversa.config import ConfigError
from viceversa.nets import build_discriminator, build_generator
from viceversa.nets.layers import InstanceNorm, init_weights, learned_weight
from viceversa.nets.patchgan import PatchGAN, PixelGAN, output_size, receptive_field


def parameters(net: nn.Module) -> float:
    return round(sum(p.numel() for p in net.parameters()) / 1e6, 3)


def test_parameter_counts_are_the_originals() -> None:
    assert parameters(PatchGAN(3)) == 2.765
    assert parameters(PatchGAN(6, norm="batch")) == 2.769


@pytest.mark.parametrize(("layers", "side"), [(1, 16), (2, 34), (3, 70), (4, 142), (5, 286)])
def test_receptive_field_is_the_published_one(layers: int, side: int) -> None:
    assert receptive_field(PatchGAN(3, width=1, layers=layers)) == side


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("tail", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_receptive_field_is_what_one_output_depends_on(layers: int, tail: bool, antialias: bool) -> None:
    torch.manual_seed(0)
    net = PatchGAN(1, width=2, layers=layers, norm="none", tail=tail, antialias=antialias).double()
    x = torch.rand(1, 1, 160, 160, dtype=torch.float64, requires_grad=True)
    y = net(x)
    middle = y.shape[-1] // 2
    y[0, 0, middle, middle].backward()
    assert x.grad is not None
    seen = x.grad[0, 0].abs().sum(0).nonzero()
    assert int(seen.max() - seen.min()) + 1 == receptive_field(net)


@pytest.mark.parametrize("size", [64, 97, 128])
@pytest.mark.parametrize(
    "net",
    [
        PatchGAN(3, width=1),
        PatchGAN(3, width=1, antialias=True),
        PatchGAN(3, width=1, tail=False),
        PixelGAN(3, width=1),
    ],
    ids=["patchgan", "antialias", "no tail", "pixelgan"],
)
def test_output_size_is_the_size_of_the_output(net: nn.Module, size: int) -> None:
    y = net(torch.zeros(1, 3, size, size))
    assert y.shape == (1, 1, output_size(net, size), output_size(net, size))


def test_official_map_sizes() -> None:
    assert output_size(PatchGAN(3, width=1), 256) == 30
    assert output_size(PatchGAN(3, width=1), 128) == 14
    assert receptive_field(PixelGAN(3, width=1)) == 1


def test_image_too_small() -> None:
    with pytest.raises(ValueError, match="16 px is too small"):
        output_size(PatchGAN(3, width=1), 16)


def test_map_size_finds_the_stack() -> None:
    net = PatchGAN(3, width=2, map_size=16, size=128)  # source 003
    assert net(torch.zeros(1, 3, 128, 128)).shape == (1, 1, 16, 16)
    assert [m.stride for m in net.modules() if isinstance(m, nn.Conv2d)] == [(2, 2)] * 3 + [(1, 1)]
    assert parameters(PatchGAN(3, map_size=30, size=256)) == 2.765  # the official one
    assert PatchGAN(3, width=2, map_size=16, size=128, antialias=True)(torch.zeros(1, 3, 128, 128)).shape[-1] == 16
    with pytest.raises(ValueError, match=r"cannot be had from 128 px; use one of .*14, 16"):
        PatchGAN(3, map_size=15, size=128)
    with pytest.raises(ValueError, match="map_size=16 depends on the image size"):
        PatchGAN(3, map_size=16)


def test_layers_are_at_least_one() -> None:
    with pytest.raises(ValueError, match="layers=0 is too small: use 1 or more"):
        PatchGAN(3, layers=0)


def test_spectral_norm_bounds_every_layer() -> None:
    net = PatchGAN(3, width=8, layers=2, norm="spectral")
    init_weights(net, "normal", 3.0)
    x = torch.rand(2, 3, 32, 32)
    for _ in range(50):  # power iterations, one a forward pass
        net(x)
    for conv in (module for module in net.modules() if isinstance(module, nn.Conv2d)):
        assert torch.linalg.matrix_norm(conv.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)
        assert learned_weight(conv).std().item() == pytest.approx(3, rel=0.2)
    assert not any(isinstance(module, InstanceNorm) for module in net.modules())


SMALLEST = [
    ({}, 24),
    ({"norm": "none"}, 24),
    ({"norm": "batch"}, 24),
    ({"norm": "spectral", "antialias": True}, 24),
    ({"layers": 1}, 6),
    ({"layers": 5, "augment": ("color", "shift", "cutout")}, 96),
    ({"tail": False}, 16),
    ({"tail": False, "norm": "none"}, 8),
    ({"name": "pixelgan"}, 2),
    ({"name": "pixelgan", "norm": "none"}, 1),
]


@pytest.mark.parametrize(("options", "smallest"), SMALLEST, ids=lambda value: str(value))
def test_crops_too_small_are_refused_when_the_configuration_is_checked(options: dict[str, Any], smallest: int) -> None:
    spec = {"name": "patchgan", "width": 2, **options}
    build_discriminator(spec, 3, size=smallest).train()(torch.zeros(1, 3, smallest, smallest))
    with torch.device("meta"):
        build_discriminator(spec, 3, size=smallest, batch=1)
        for size in range(1, smallest):
            with pytest.raises(ConfigError, match=f"={size}: the {spec['name']} needs {smallest} px or more"):
                build_discriminator(spec, 3, size=size, batch=1)


def test_crops_too_small_for_a_generator_are_refused_too() -> None:
    spec = {"name": "resnet", "width": 2, "blocks": 1}
    with torch.device("meta"):
        build_generator(spec, 3, 3, size=8, batch=1)
        with pytest.raises(ConfigError, match=r"^data.crop=4: the resnet needs 8 px or more"):
            build_generator(spec, 3, 3, size=4, batch=1)
