"""How far discriminators see, how large their maps are, and what they refuse; how they alter what they see."""

from typing import Any

import pytest
import torch
from torch import nn

from viceversa import registry
from viceversa.config import ConfigError
from viceversa.nets import DISCRIMINATORS, refuse_small
from viceversa.nets.layers import InstanceNorm, init_weights, learned_weight
from viceversa.nets.patchgan import ALTERATIONS, Augment, PatchGAN, PixelGAN, output_size, receptive_field


def test_parameter_counts_and_maps_are_the_originals() -> None:
    assert [sum(p.numel() for p in net.parameters()) for net in (PatchGAN(3), PatchGAN(6, norm="batch"))] == [
        2_764_737,
        2_768_705,
    ]
    assert [output_size(PatchGAN(3, width=1), size) for size in (256, 128)] == [30, 14]
    assert output_size(PatchGAN(3, width=1, tail=False), 128) == 16  # source 003
    fields = [receptive_field(PatchGAN(3, width=1, layers=layers)) for layers in (1, 2, 3, 4, 5)]
    assert fields == [16, 34, 70, 142, 286]
    assert receptive_field(PixelGAN(3, width=1)) == 1


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("tail", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_field_and_map_are_those_of_the_network(layers: int, tail: bool, antialias: bool) -> None:
    torch.manual_seed(0)
    net = PatchGAN(1, width=2, layers=layers, norm="none", tail=tail, antialias=antialias).double()
    for size in (64, 97):
        assert net(torch.zeros(1, 1, size, size).double()).shape[-1] == output_size(net, size)
    x = torch.rand(1, 1, 160, 160, dtype=torch.float64, requires_grad=True)
    y = net(x)
    middle = y.shape[-1] // 2
    y[0, 0, middle, middle].backward()
    seen = x.grad[0, 0].abs().sum(0).nonzero()
    assert int(seen.max() - seen.min()) + 1 == receptive_field(net)


@pytest.mark.parametrize("options", [{}, {"tail": False, "antialias": True}, {"norm": "spectral"}], ids=str)
def test_coarser_scales_judge_the_same_patches_and_see_no_detail(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    net = PatchGAN(3, width=4, scales=3, **options).eval()
    single = PatchGAN(3, width=4, **options)
    assert (output_size(net, 64), receptive_field(net)) == (output_size(single, 64), receptive_field(single))
    for size in (64, 97):
        assert net(torch.rand(1, 3, size, size)).shape[1:] == (3, *[output_size(net, size)] * 2)
    x = torch.rand(1, 3, 64, 64)
    checks = (torch.arange(64) + torch.arange(64)[:, None]) % 2 - 0.5
    changed = (net(x + checks) - net(x)).abs().amax((0, 2, 3))
    assert changed[0] > 1e-3
    assert changed[1:].max() < 1e-4
    with pytest.raises(ValueError, match="scales=4"):
        PatchGAN(3, width=4, scales=4)


def test_spectral_norm_bounds_every_layer_and_its_weights_can_be_drawn() -> None:
    torch.manual_seed(0)
    net = PatchGAN(3, width=8, norm="spectral")
    assert not any(isinstance(module, InstanceNorm) for module in net.modules())
    convs = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    init_weights(net, "normal", 0.02)
    for _ in range(50):  # each forward pass is a step of the power iteration
        net(torch.rand(1, 3, 64, 64))
    for conv in convs:
        assert torch.linalg.matrix_norm(conv.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)
        assert learned_weight(conv).std().item() == pytest.approx(0.02, rel=0.3)


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


@pytest.mark.parametrize(("options", "smallest"), SMALLEST, ids=str)
def test_crops_too_small_are_refused(options: dict[str, Any], smallest: int) -> None:
    spec = registry.complete(DISCRIMINATORS, "discriminator", {"name": "patchgan", "width": 2, **options})
    registry.create(DISCRIMINATORS, "discriminator", spec, 3)(torch.zeros(1, 3, smallest, smallest))
    with torch.device("meta"):
        net = registry.create(DISCRIMINATORS, "discriminator", spec, 3)
        refuse_small(net, 3, size=smallest, batch=1)
        for size in {1, smallest // 2, smallest - 1} - {0, smallest}:
            with pytest.raises(ConfigError, match=f"={size}: {type(net).__name__} needs larger images"):
                refuse_small(net, 3, size=size, batch=1)


@pytest.mark.parametrize("kind", ALTERATIONS)
def test_each_image_is_altered_by_a_draw_of_its_own_that_the_seed_decides(kind: str) -> None:
    x = (torch.rand(1, 3, 16, 24) + 1).expand(4, -1, -1, -1).clone().requires_grad_()
    augment = Augment((kind,))
    torch.manual_seed(0)
    first = augment(x)
    assert first.shape == x.shape
    assert not torch.equal(first[0], first[1])
    first.square().sum().backward()
    assert x.grad.abs().sum() > 0
    torch.manual_seed(0)
    assert torch.equal(augment(x), first)
    assert torch.equal(augment.eval()(x), x)


def test_shift_moves_cutout_covers_and_colour_keeps_the_structure() -> None:
    torch.manual_seed(1)
    x = torch.ones(64, 1, 16, 16)
    moved = ALTERATIONS["shift"](x)
    assert 14 * 14 <= moved.sum((1, 2, 3)).min() < moved.sum((1, 2, 3)).max() == 16 * 16
    covered = 256 - ALTERATIONS["cutout"](x).sum((1, 2, 3))
    assert 4 * 4 <= covered.min() < covered.max() == 8 * 8
    x = torch.rand(2, 3, 8, 8)
    for image, other in zip(x.mean(1).flatten(1), ALTERATIONS["color"](x).mean(1).flatten(1), strict=True):
        assert torch.corrcoef(torch.stack([image, other]))[0, 1] > 0.999


def test_colours_of_a_pair_are_altered_alike_and_apart() -> None:
    x, y = torch.rand(4, 3, 8, 8), torch.rand(4, 1, 8, 8)

    def altered(*images: torch.Tensor) -> torch.Tensor:
        augment = Augment(("color",))
        augment.channels = [image.shape[1] for image in images]
        torch.manual_seed(0)
        return augment(torch.cat(images, dim=1))

    assert torch.equal(altered(x, y), torch.cat([altered(x), altered(y)], dim=1))
