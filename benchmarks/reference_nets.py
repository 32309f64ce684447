"""The papers' networks in the plain form of their first implementations, to measure against.

Every layer is a module of torch's own, padding is a layer, activations work in place, and nothing is fused or shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from viceversa.nets.blocks import BlurDown, BlurUp


def resnet(
    in_channels: int, out_channels: int, *, width: int, blocks: int, downs: int, antialias: bool
) -> nn.Sequential:
    """Return CycleGAN's generator, or CUT's if `antialias`: a flat list of layers, as CUT numbers them."""
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(in_channels, width, 7), *_normed(width)]
    for i in range(downs):
        narrow, wide = width * 2**i, width * 2 ** (i + 1)
        layers += [nn.Conv2d(narrow, wide, 3, stride=1 if antialias else 2, padding=1), *_normed(wide)]
        layers += [Blur(wide)] if antialias else []
    layers += [Block(width * 2**downs) for _ in range(blocks)]
    for i in reversed(range(downs)):
        narrow, wide = width * 2**i, width * 2 ** (i + 1)
        if antialias:
            layers += [BlurUp(wide), nn.Conv2d(wide, narrow, 3, padding=1)]
        else:
            layers += [nn.ConvTranspose2d(wide, narrow, 3, stride=2, padding=1, output_padding=1)]
        layers += _normed(narrow)
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, out_channels, 7), nn.Tanh())


def _normed(channels: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(channels), nn.ReLU(True)]


class Blur(nn.Module):
    """Padding as a layer, then a filter for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pad = nn.ReflectionPad2d(1)
        self.register_buffer("filter", BlurDown(channels).filter.clone())

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H / 2, W / 2)."""
        return functional.conv2d(self.pad(x), cast(Tensor, self.filter), stride=2, groups=x.shape[1])


class Block(nn.Module):
    """A residual block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), *_normed(channels)),
            *(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return cast(Tensor, x + self.body(x))


class UNet(nn.Module):
    """pix2pix's generator, one level wrapped around the next; the activation in place is what the shortcut carries."""

    def __init__(self, in_channels: int, out_channels: int, *, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        widths = [width * min(2**i, 8) for i in range(depth)]
        inner: UNetLevel | None = None
        for i in reversed(range(1, depth)):
            drop = dropout if inner is not None and widths[i] == widths[i - 1] else 0.0
            inner = UNetLevel(widths[i - 1], widths[i], inner, drop)
        assert inner is not None
        self.down = nn.Conv2d(in_channels, width, 4, stride=2, padding=1, bias=False)
        self.inner = inner
        self.up = nn.Sequential(
            nn.ReLU(True), nn.ConvTranspose2d(2 * width, out_channels, 4, stride=2, padding=1), nn.Tanh()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, H, W)."""
        return cast(Tensor, self.up(self.inner(self.down(x))))


class UNetLevel(nn.Module):
    """One level: down, what is inside, up, and the shortcut around all of it."""

    def __init__(self, outer: int, channels: int, inner: UNetLevel | None, dropout: float) -> None:
        super().__init__()
        self.down = nn.Sequential(
            nn.LeakyReLU(0.2, True), nn.Conv2d(outer, channels, 4, stride=2, padding=1, bias=False),
            *([nn.BatchNorm2d(channels)] if inner is not None else []),
        )  # fmt: skip
        self.inner = inner if inner is not None else nn.Identity()
        joined = channels if inner is None else 2 * channels
        self.up = nn.Sequential(
            nn.ReLU(True), nn.ConvTranspose2d(joined, outer, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(outer), *([nn.Dropout(dropout)] if dropout else []),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(B, outer, H, W) to (B, 2 * outer, H, W)."""
        return torch.cat([x, self.up(self.inner(self.down(x)))], 1)


def patchgan(in_channels: int, *, width: int, layers: int, batch_norm: bool, antialias: bool) -> nn.Sequential:
    """Return the PatchGAN discriminator."""
    widths = [in_channels] + [width * min(2**i, 8) for i in range(layers + 1)]
    stack: list[nn.Module] = []
    for i, (narrow, wide) in enumerate(pairwise(widths)):
        stride = 2 if i < layers and not antialias else 1
        stack.append(nn.Conv2d(narrow, wide, 4, stride=stride, padding=1, bias=not (i and batch_norm)))
        if i:
            stack.append(nn.BatchNorm2d(wide) if batch_norm else nn.InstanceNorm2d(wide))
        stack.append(nn.LeakyReLU(0.2, True))
        if i < layers and antialias:
            stack.append(Blur(wide))
    return nn.Sequential(*stack, nn.Conv2d(widths[-1], 1, 4, padding=1))


class PatchHeads(nn.Module):
    """CUT's heads: draw positions (or take those given), project the features there, make them unit vectors."""

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(c, width), nn.ReLU(), nn.Linear(width, width)) for c in channels
        )

    def forward(
        self, features: Sequence[Tensor], chosen: Sequence[Tensor] | None, count: int
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the vectors (B * N, width) of each map (B, C, H, W), and the positions they were taken at."""
        vectors, places = [], []
        for i, (head, feature) in enumerate(zip(self.heads, features, strict=True)):
            rows = feature.permute(0, 2, 3, 1).flatten(1, 2)
            place = torch.randperm(rows.shape[1])[:count] if chosen is None else chosen[i]
            vector = head(rows[:, place].flatten(0, 1))
            vectors.append(vector / (vector.norm(dim=1, keepdim=True) + 1e-7))
            places.append(place)
        return vectors, places
