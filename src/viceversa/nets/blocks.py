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
from torch.nn import functional
from torch.nn.functional import elu, interpolate, pad, relu

from .base import Generator
from .layers import BatchNorm, ConvNorm, Padding, make_norm, recomputing

Upsample: TypeAlias = Literal["transposed", "resize", "blur", "pixelshuffle"]
ResNorm: TypeAlias = Literal["batch", "group"]


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
    """Turn activation checkpointing on in the blocks of all generators; a spectral norm changes with every pass."""
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


class PreBlock(Block):
    """A residual block that normalises and activates first (He et al., 2016b), and may halve or double the image.

    Where the shape changes, the first convolution also computes the shortcut, in its first `out_channels` channels.
    """

    def __init__(self, in_channels: int, out_channels: int, *, norm: ResNorm, scale: float = 1) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.inner = (out_channels if scale < 1 else in_channels) // 2
        self.scale = scale
        both = self.inner if scale == 1 else self.inner + out_channels
        self.norm1 = make_res_norm(norm, in_channels)
        self.conv1 = nn.Conv2d(in_channels, both, 3, stride=2 if scale < 1 else 1, padding=1)
        self.norm2 = make_res_norm(norm, self.inner)
        self.conv2 = nn.Conv2d(self.inner, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, H * scale, W * scale)."""
        h = elu(self.norm1(x))
        if self.scale > 1:
            h = interpolate(h, scale_factor=self.scale, mode="nearest")
        h = self.conv1(h)
        if self.scale != 1:
            x, h = torch.split(h, [self.out_channels, self.inner], dim=1)
        out: Tensor = x + self.conv2(elu(self.norm2(h)))
        return out


def make_res_norm(kind: ResNorm, channels: int) -> nn.Module:
    """Return the normalisation of a `PreBlock`."""
    if kind == "batch":
        return BatchNorm(channels, eps=1e-4)
    if channels % 8:
        raise ValueError(f"norm=group makes 8 groups, which {channels} channels do not; use a width divisible by 8")
    return nn.GroupNorm(8, channels, eps=1e-4)


class BlurDown(nn.Module):
    """Halve an image after blurring it with [1, 2, 1], edges reflected (Zhang, 2019). CUT's files store the filter."""

    kernel_size, stride, padding = 3, 2, 1
    filter: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filter", _blur([1.0, 2.0, 1.0], channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, ceil(H / 2), ceil(W / 2)); H and W must be 2 or more."""
        return functional.conv2d(pad(x, [1, 1, 1, 1], mode="reflect"), self.filter, stride=2, groups=x.shape[1])


class BlurUp(nn.Module):
    """Double an image and blur it with [1, 3, 3, 1], edges replicated (Zhang, 2019): bilinear interpolation."""

    filter: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filter", _blur([1.0, 3.0, 3.0, 1.0], channels, total=4.0))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, 2H, 2W)."""
        padded = pad(x, [1, 1, 1, 1], mode="replicate")
        return functional.conv_transpose2d(padded, self.filter, stride=2, padding=3, groups=x.shape[1])


def _blur(row: list[float], channels: int, total: float = 1.0) -> Tensor:
    """Return the outer product of a row of weights with itself, summing to `total`, for every channel: (C, 1, k, k)."""
    square = torch.tensor([[total * a * b / sum(row) ** 2 for a in row] for b in row])
    return square.expand(channels, 1, -1, -1).contiguous()
