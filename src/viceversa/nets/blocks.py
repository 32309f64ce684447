"""Layers put together: stages, residual blocks, and how networks go down and up.

A block can keep nothing but its input and compute the rest again for its gradient: activation checkpointing (Chen et
al., 2016; arXiv 1604.06174), less memory for a second forward pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from .base import Generator
from .layers import BlurDown, BlurUp, ConvNorm, Padding, make_norm, recomputing

Upsample: TypeAlias = Literal["transposed", "resize", "blur", "pixelshuffle"]


class Block(nn.Module):
    """A part of a network that may be checkpointed; the second time it computes bitwise the same, dropout included."""

    checkpointed = False

    def __call__(self, x: Tensor) -> Tensor:
        """Compute; if it is checkpointed and a gradient may be asked for, keep nothing but x."""
        result: Tensor
        if not (self.checkpointed and torch.is_grad_enabled()):
            result = super().__call__(x)
            return result
        from torch.utils.checkpoint import checkpoint  # here, as it imports torch's compiler

        result = checkpoint(super().__call__, x, use_reentrant=False, context_fn=lambda: (nullcontext(), recomputing()))
        return result


def enable_checkpointing(net: nn.Module) -> None:
    """Turn activation checkpointing on in the blocks of all generators in a network.

    Discriminators keep what they compute: it is little, and their spectral norm changes with every forward pass.
    """
    for block in blocks(net):
        block.checkpointed = True


def blocks(net: nn.Module) -> list[Block]:
    """Return the blocks of all generators in a network."""
    generators = [module for module in net.modules() if isinstance(module, Generator)]
    return [module for generator in generators for module in generator.modules() if isinstance(module, Block)]


class Stage(Block):
    """Convolution, normalisation, activation (ReLU unless given), and perhaps a resampling of the result."""

    def __init__(
        self, conv: nn.Module, norm: nn.Module, active: nn.Module | None = None, resample: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.conv = conv
        self.norm = norm
        self.active = active or nn.ReLU()  # never in place: a feature taken before it must survive
        self.resample = resample or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the stage's result."""
        return self.finish(self.conv(x))

    def finish(self, h: Tensor) -> Tensor:
        """Do what follows the convolution."""
        out: Tensor = self.resample(self.active(self.norm(h)))
        return out


class ResidualBlock(Block):
    """Two 3x3 convolutions whose result is added to their input (He et al., 2016; Johnson et al., 2016)."""

    def __init__(self, channels: int, *, norm: ConvNorm, dropout: float = 0.0, padding: Padding = "reflect") -> None:
        super().__init__()
        bias = norm != "batch"
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, padding_mode=padding, bias=bias)
        self.norm1 = make_norm(norm, channels, self.conv1)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, padding_mode=padding, bias=bias)
        self.norm2 = make_norm(norm, channels, self.conv2, gain=0.3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        h = self.dropout(relu(self.norm1(self.conv1(x))))
        out: Tensor = x + self.norm2(self.conv2(h))
        return out


def make_stem(in_channels: int, width: int, norm: ConvNorm) -> Stage:
    """Return the 7x7 entrance of the ResNet generators, edges reflected."""
    conv = nn.Conv2d(in_channels, width, 7, padding=3, padding_mode="reflect", bias=norm != "batch")
    return Stage(conv, make_norm(norm, width, conv))


def make_down(in_channels: int, out_channels: int, norm: ConvNorm, antialias: bool = False) -> Stage:
    """Return a stage that halves the image, by a stride or by a blur after the convolution."""
    bias = norm != "batch"
    if antialias:
        conv, blur = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias), BlurDown(out_channels)
        return Stage(conv, make_norm(norm, out_channels, conv), resample=blur)
    conv = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, bias=bias)
    return Stage(conv, make_norm(norm, out_channels, conv))


def make_up(in_channels: int, out_channels: int, norm: ConvNorm, kind: Upsample) -> Stage:
    """Return a stage that doubles the image; ValueError if its weights cannot be standardised."""
    layers = make_upsample(kind, in_channels, out_channels, bias=norm != "batch")
    *_, last = layers.modules()
    if norm == "standardised" and not isinstance(last, nn.Conv2d):
        raise ValueError(f"norm=standardised: does not go with upsample={kind}; use upsample=resize or blur")
    return Stage(layers, make_norm(norm, out_channels, last))


def make_upsample(kind: Upsample, in_channels: int, out_channels: int, *, bias: bool) -> nn.Module:
    """Return a layer that doubles height and width."""
    if kind == "transposed":
        return nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1, bias=bias)
    if kind == "pixelshuffle":
        return nn.Sequential(nn.Conv2d(in_channels, 4 * out_channels, 3, padding=1, bias=bias), nn.PixelShuffle(2))
    larger = {"blur": BlurUp(in_channels), "resize": nn.Upsample(scale_factor=2.0, mode="nearest")}[kind]
    return nn.Sequential(larger, nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias))


def walk(layers: Iterable[tuple[str, nn.Module]], x: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Run layers one after the other and yield each one's feature map: of a stage, its convolution before the norm."""
    for name, layer in layers:
        if isinstance(layer, Stage):
            x = layer.conv(x)
            yield name, x
            x = layer.finish(x)
        else:
            x = layer(x)
            yield name, x


def channels_of(layers: Iterable[tuple[str, nn.Module]]) -> dict[str, int]:
    """Return the channels of the feature maps that `walk` yields, for layers that end in a convolution."""
    table = {}
    for name, layer in layers:
        *_, last = (module for module in layer.modules() if isinstance(module, nn.Conv2d))
        table[name] = last.out_channels
    return table
