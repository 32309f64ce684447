"""Layers that compute what torch's own do, in the form that is fastest on a CPU; `accelerate` puts them in place."""

from __future__ import annotations

import ctypes
import sys

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from viceversa.fast_cpu.convolutions import Conv, Convolve, Form, Product, StackedResults, output_size
from viceversa.fast_cpu.winograd import Winograd
from viceversa.nets.base import Generator
from viceversa.nets.blocks import BlurDown, BlurUp
from viceversa.nets.layers import on_cpu

__all__ = ["accelerate", "keep_memory"]

WINOGRAD_CHANNELS, WINOGRAD_PIXELS = 128, 1024  # at least, on both sides and in a batch, for its additions to pay
FEW_CHANNELS = 8  # to so few, rows of results are stacked
FEW_PIXELS = 64
"""So many pixels of a batch, in the smaller map, are one product with the whole filter; four times as many in bf16."""
WIDE_FILTER = 2**17  # numbers in a discriminator's filter, at least, for a product to pay
MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h


class FastConv2d(nn.Conv2d):
    """A square convolution in the form that is fastest for these images."""

    in_generator = False

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, K, H', W')."""
        if form := best_form(self, x):
            return convolve(self, form, x)
        dtype = compute_type(x)
        if self.padding_mode == "zeros" or dtype == x.dtype or not on_cpu(x):
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):  # it would reflect edges in float32, and cast twice
            bias = None if self.bias is None else self.bias.to(dtype)
            y: Tensor = self._conv_forward(x.to(dtype), self.weight.to(dtype), bias)
        return y


class FastConvTranspose2d(nn.ConvTranspose2d):
    """A square transposed convolution in the form that is fastest for these images."""

    in_generator = False

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, C, H, W) to (B, K, H', W')."""
        form = best_form(self, x) if output_size is None else None
        return super().forward(x, output_size) if form is None else convolve(self, form, x)


def convolve(layer: Conv, form: Form, x: Tensor) -> Tensor:
    """Return the convolution of x in the type that autocast asks for."""
    x = x.to(compute_type(x))
    with torch.autocast(x.device.type, enabled=False):
        y: Tensor = Convolve.apply(x, layer.weight, layer.bias, layer, form)
    return y


def best_form(layer: FastConv2d | FastConvTranspose2d, x: Tensor) -> Form | None:
    """Return in which form to convolve x, or None for torch's own way."""
    if not on_cpu(x) or "weight" not in layer._parameters:  # but computed at each access, by a spectral norm
        return None
    dtype, side, stride = compute_type(x), layer.kernel_size[0], layer.stride[0]
    fewest = min(layer.in_channels, layer.out_channels)
    if dtype not in (torch.bfloat16, torch.float32, torch.float64):
        return None
    if isinstance(layer, FastConv2d) and stride == 1 and side > 1 and layer.padding[0]:
        if side == 3 and fewest >= WINOGRAD_CHANNELS and dtype != torch.bfloat16:
            return Winograd() if len(x) * x.shape[2] * x.shape[3] >= WINOGRAD_PIXELS else None
        if layer.out_channels == 1 or (side >= 7 and layer.out_channels <= FEW_CHANNELS):
            return StackedResults()
    return Product() if side == 4 and few_pixels(layer, x, dtype) else None


def few_pixels(layer: FastConv2d | FastConvTranspose2d, x: Tensor, dtype: torch.dtype) -> bool:
    """Whether the filter of a 4x4 convolution is large beside the smaller of its maps."""
    wide = layer.weight.numel() >= WIDE_FILTER
    plain = layer.padding_mode == "zeros" and layer.output_padding == (0, 0)
    height, width = x.shape[2:] if isinstance(layer, nn.ConvTranspose2d) else output_size(layer, x)
    most = 4 * FEW_PIXELS if dtype == torch.bfloat16 and wide else FEW_PIXELS
    return plain and (wide or (layer.in_generator and layer.stride[0] == 2)) and len(x) * height * width <= most


def compute_type(x: Tensor) -> torch.dtype:
    """Return the type in which a convolution of `x` computes: autocast's, where it is on."""
    if torch.is_autocast_enabled(x.device.type) and x.dtype == torch.float32:
        return torch.get_autocast_dtype(x.device.type)
    return x.dtype


class FastBlurDown(BlurDown):
    """Blurs in the filter's own type: in bfloat16 the CPU takes four times as long for the gradient."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, ceil(H / 2), ceil(W / 2))."""
        if not on_cpu(x):
            return super().forward(x)
        dtype = compute_type(x)
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.to(dtype).to(self.filter.dtype)).to(dtype)


class FastBlurUp(BlurUp):
    """With channels last, torch's own interpolation is faster, and the same unless a file brought another filter."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, 2H, 2W)."""
        if not on_cpu(x) or x.is_contiguous() or not torch.equal(self.filter, bilinear(self.filter)):
            return super().forward(x)
        x = x.to(compute_type(x))
        with torch.autocast(x.device.type, enabled=False):  # which takes it for a matter of float32
            return interpolate(x, scale_factor=2.0, mode="bilinear")


def bilinear(like: Tensor) -> Tensor:
    """Return the filter of bilinear interpolation for as many channels."""
    row = like.new_tensor([0.25, 0.75, 0.75, 0.25])
    return torch.outer(row, row).expand_as(like)


FAST: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: FastConv2d,
    nn.ConvTranspose2d: FastConvTranspose2d,
    BlurDown: FastBlurDown,
    BlurUp: FastBlurUp,
}


def accelerate(net: nn.Module) -> None:
    """Change layers of a network, in place, to forms that compute the same sooner on a CPU.

    A layer only changes its class. Those that are not exactly torch's own, such as with a spectral norm, stay. On other
    devices the new classes compute as the old ones.
    """
    in_generators = {layer for part in net.modules() if isinstance(part, Generator) for layer in part.modules()}
    for layer in net.modules():
        if type(layer) in FAST and (not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) or _is_plain(layer)):
            layer.__class__ = FAST[type(layer)]
        if isinstance(layer, FastConv2d | FastConvTranspose2d):
            layer.in_generator = layer in in_generators


def _is_plain(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Whether a convolution is square, pads its input itself, and is neither grouped nor dilated."""
    sizes = layer.kernel_size, layer.stride, layer.padding
    square = all(isinstance(size, tuple) and size[0] == size[1] for size in sizes)
    return square and layer.padding_mode != "circular" and layer.groups == 1 and layer.dilation == (1, 1)


def keep_memory() -> None:
    """Have glibc keep freed memory, instead of fetching large tensors from the system page by page each time."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, 2**30)
        mallopt(TRIM_THRESHOLD, 2**31 - 1)
