"""Discriminators that judge patches, not whole images; and how what they see is altered, for small data sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad

from viceversa.config.schema import Count

from .base import Discriminator
from .blocks import BlurDown, Stage
from .layers import NORMS, Norm, spectral

Alteration: TypeAlias = Literal["color", "shift", "cutout"]


class PatchGAN(Discriminator):
    """Is this patch real? Asked everywhere at once (Isola et al., 2017); the defaults judge patches of 70x70.

    Args:
        width: Channels of the first layer; they double at each layer up to 8 times as many.
        layers: Times the image is halved. 1 to 5 judge patches of 16, 34, 70, 142, 286 pixels.
        norm: Normalisation; the first layer has none. spectral bounds the weights of all layers instead of the features
            (Miyato et al., 2018).
        antialias: Blur before halving, as CUT does.
        tail: End in two 4x4 convolutions of stride 1, as the originals do; without, in one of 3x3, and the map is
            2**layers times smaller than the image.
        scales: Resolutions at which each patch is judged: of 2, also at half of it, by a network of its own with a
            layer less, which sees things as wholes (after Wang et al., 2018; arXiv 1711.11585, Sec. 3.2).
        augment: Alterations of all pictures it judges, for small data sets: color, shift, cutout.
    """

    def __init__(
        self, in_channels: int, *, width: Count = 64, layers: Count = 3,
        norm: Literal[Norm, "spectral"] = "instance", antialias: bool = False, tail: bool = True,
        scales: Count = 1, augment: tuple[Alteration, ...] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        if scales > layers:
            raise ValueError(f"scales={scales}: each has a layer less, so use at most as many as layers={layers}")
        self.augment = Augment(augment)
        widths = [in_channels] + [width * min(2**i, 8) for i in range(layers + tail)]
        stack = []
        for i, (a, b) in enumerate(pairwise(widths)):
            halves = i < layers
            kind: Norm = norm if i and norm != "spectral" else "none"
            stride, blur = (1, BlurDown(b)) if halves and antialias else (2 if halves else 1, None)
            conv = nn.Conv2d(a, b, 4, stride=stride, padding=1, bias=kind != "batch")
            stack.append(Stage(conv, NORMS[kind](b), nn.LeakyReLU(0.2), blur))
        self.layers = nn.Sequential(*stack)
        self.head = nn.Conv2d(widths[-1], 1, 4 if tail else 3, padding=1)
        if norm == "spectral":
            for conv in [module for module in self.modules() if isinstance(module, nn.Conv2d)]:
                spectral(conv)
        self.coarser: PatchGAN | None = None
        if scales > 1:
            self.coarser = PatchGAN(
                in_channels, width=width, layers=layers - 1, norm=norm, antialias=antialias, tail=tail,
                scales=scales - 1,
            )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to logits (B, scales, h, w); `output_size` tells h and w, which all scales share."""
        x = self.augment(x)
        logits: Tensor = self.head(self.layers(x))
        return logits if self.coarser is None else torch.cat([logits, self.coarser(avg_pool2d(x, 2))], dim=1)


class PixelGAN(Discriminator):
    """Is this pixel's colour real? 1x1 convolutions, blind to any structure (Isola et al., 2017).

    Args:
        width: Channels of the first layer; the second has twice as many.
        norm: Normalisation of the second layer.
        augment: Alterations of all pictures it judges, for small data sets: color, shift, cutout.
    """

    def __init__(
        self, in_channels: int, *, width: Count = 64, norm: Norm = "instance", augment: tuple[Alteration, ...] = ()
    ) -> None:
        super().__init__()
        self.augment = Augment(augment)
        bias, active = norm != "batch", nn.LeakyReLU(0.2)
        self.layers = nn.Sequential(
            Stage(nn.Conv2d(in_channels, width, 1), nn.Identity(), active),
            Stage(nn.Conv2d(width, 2 * width, 1, bias=bias), NORMS[norm](2 * width), active),
        )
        self.head = nn.Conv2d(2 * width, 1, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to logits (B, 1, H, W)."""
        logits: Tensor = self.head(self.layers(self.augment(x)))
        return logits


def receptive_field(net: nn.Module) -> int:
    """Return the side, in pixels, of the patch that an output depends on, for layers that run one after the other."""
    side, jump = 1, 1
    for kernel, stride, _ in _windows(net):
        side += (kernel - 1) * jump
        jump *= stride
    return side


def output_size(net: nn.Module, size: int) -> int:
    """Return the side of the output for an image of `size` pixels; ValueError if the image is too small."""
    side = size
    for kernel, stride, padding in _windows(net):
        side = (side + 2 * padding - kernel) // stride + 1
        if side < 1:
            raise ValueError(f"an image of {size} px is too small for this {type(net).__name__}; use fewer layers")
    return side


def _windows(net: nn.Module) -> Iterator[tuple[int, int, int]]:
    """Yield (kernel, stride, padding) of every layer that looks at neighbours, in order of execution."""
    for name, layer in net.named_modules():
        if name.startswith("coarser"):  # it runs beside the others, not after them
            continue
        if isinstance(layer, nn.Conv2d):
            assert isinstance(layer.padding, tuple)
            yield layer.kernel_size[0], layer.stride[0], layer.padding[0]
        elif isinstance(layer, BlurDown):
            yield layer.kernel_size, layer.stride, layer.padding


class Augment(nn.Module):
    """Differentiable augmentation: D only ever sees altered images, real and translated alike (Zhao et al., 2020).

    It cannot learn few images by heart then (arXiv 2006.10738). Every image of a batch is altered by draws of its own,
    from torch's generator on the CPU, in training mode only. Where the images of a pair are joined, `channels` says how
    many each has: both are altered alike, but no colour of one goes into the other.
    """

    def __init__(self, kinds: tuple[Alteration, ...], strength: float = 1.0) -> None:
        super().__init__()
        self.kinds, self.strength = kinds, strength
        self.channels: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return self._altered(x, self.channels)

    def alike(self, *images: Tensor) -> list[Tensor]:
        """Return images of one size, altered by the same draws, so that they can still be compared."""
        channels = [image.shape[1] for image in images]
        return list(torch.split(self._altered(torch.cat(images, dim=1), channels), channels, dim=1))

    def _altered(self, x: Tensor, channels: Sequence[int]) -> Tensor:
        for kind in self.kinds if self.training else ():
            x = color(x, self.strength, channels) if kind == "color" else ALTERATIONS[kind](x, self.strength)
        return x


def color(x: Tensor, strength: float = 1.0, channels: Sequence[int] = ()) -> Tensor:
    """Brightness by up to 0.5 either way, saturation 0 to 2 times, contrast 0.5 to 1.5 times, of each joined image."""
    brightness = _draws(x, -0.5 * strength, 0.5 * strength)
    saturation = _draws(x, 1 - strength, 1 + strength)
    contrast = _draws(x, 1 - 0.5 * strength, 1 + 0.5 * strength)
    found = []
    for image in torch.split(x + brightness, list(channels) or x.shape[1], dim=1):
        gray = image.mean(1, keepdim=True)
        image = gray + (image - gray) * saturation
        level = image.mean((1, 2, 3), keepdim=True)
        found.append(level + (image - level) * contrast)
    return torch.cat(found, dim=1)


def shift(x: Tensor, strength: float = 1.0) -> Tensor:
    """Move by up to an eighth of the size, each way; what comes in is zero."""
    height, width = x.shape[2:]
    far_y, far_x = _rounded(height / 8 * strength), _rounded(width / 8 * strength)
    wider = pad(x, [far_x, far_x, far_y, far_y])
    rows = torch.randint(2 * far_y + 1, (len(x),)).tolist()
    columns = torch.randint(2 * far_x + 1, (len(x),)).tolist()
    moved = [image[:, i : i + height, j : j + width] for image, i, j in zip(wider, rows, columns, strict=True)]
    return torch.stack(moved)


def cutout(x: Tensor, strength: float = 1.0) -> Tensor:
    """Put a zero rectangle of half the height and width somewhere, partly outside perhaps."""
    height, width = x.shape[2:]
    tall, wide = _rounded(height / 2 * strength), _rounded(width / 2 * strength)
    keep = torch.ones(len(x), 1, height, width, dtype=x.dtype)
    rows = torch.randint(height + 1 - tall % 2, (len(x),)).tolist()
    columns = torch.randint(width + 1 - wide % 2, (len(x),)).tolist()
    for mask, i, j in zip(keep, rows, columns, strict=True):
        top, left = i - tall // 2, j - wide // 2
        mask[:, max(0, top) : top + tall, max(0, left) : left + wide] = 0
    return x * keep.to(x.device, non_blocking=True)


def _rounded(pixels: float) -> int:
    return int(pixels + 0.5)


def _draws(x: Tensor, low: float, high: float) -> Tensor:
    """Return a random number for each image of a batch, (B, 1, 1, 1)."""
    return torch.empty(len(x), 1, 1, 1, dtype=x.dtype).uniform_(low, high).to(x.device, non_blocking=True)


ALTERATIONS: Mapping[str, Callable[..., Tensor]] = {"color": color, "shift": shift, "cutout": cutout}
