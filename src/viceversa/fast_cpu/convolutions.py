"""Layers that compute what torch's own do, in the form that a CPU computes fastest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, fold, interpolate, pad, unfold

from viceversa.fast_cpu.winograd import Winograd, from_filter
from viceversa.nets.layers import BlurDown, BlurUp, Padding, on_cpu

WINOGRAD_CHANNELS = 128
"""On both sides, at least: with fewer, Winograd's additions cost more than the multiplications it saves."""
FEW_CHANNELS = 8
"""With so few on one side, rows are stacked."""
FEW_PIXELS = 64
"""So many results of a batch are one product with the whole filter."""
ROOM = 2**24
"""Bytes; beyond 2**25 the C library fetches fresh memory for every tensor, page by page."""

_derived: ContextVar[dict[tuple[nn.Module, object], Tensor] | None] = ContextVar("_derived", default=None)


@contextmanager
def fixed_weights() -> Iterator[None]:
    """While this runs no weight changes, so what convolutions derive from their weights is derived once."""
    token = _derived.set({})
    try:
        yield
    finally:
        _derived.reset(token)


@torch.no_grad()
def derive(layer: nn.Module, name: object, how: Callable[[], Tensor]) -> Tensor:
    """Return what `how()` makes of a layer's weights, or has made since they are fixed; no gradient flows through."""
    known = _derived.get()
    if known is None:
        return how()
    if (layer, name) not in known:
        known[layer, name] = how()
    return known[layer, name]


class WinogradConv2d(nn.Conv2d):
    """A wide 3x3 convolution that keeps height and width, by Winograd's algorithm.

    All of it goes so in float32 and float64. bfloat16 has few digits for its sums, so there x is convolved directly and
    only the gradients, which need fewer digits, go by it; unless `low_precision` is good enough.
    """

    padding_mode: Padding
    low_precision = False

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, K, H, W)."""
        weight, m = self.weight, self.tile(x)
        if m is None or not isinstance(weight, nn.Parameter):  # but computed anew each time, by a spectral norm
            y: Tensor = self._conv_forward(x, weight, self.bias)
            return y
        dtype = compute_type(x)
        with torch.autocast(x.device.type, enabled=False):  # it would pad in float32, and cast twice
            places = derive(self, (m, dtype), lambda: from_filter(weight, m).to(dtype))
            few_digits = dtype == torch.bfloat16 and not self.low_precision
            direct = derive(self, dtype, lambda: weight.to(dtype)) if few_digits else None
            parts = torch.split(x.to(dtype), self.together(x, m))
            results = [Winograd.apply(part, weight, self.bias, places, direct, self.padding_mode) for part in parts]
            return torch.cat(results) if len(results) > 1 else results[0]

    def tile(self, x: Tensor) -> int | None:
        """Return the side of Winograd's tiles for these images, or None if they should be convolved directly."""
        if not on_cpu(x):
            return None
        dtype = compute_type(x)
        gains = self.low_precision or torch.is_grad_enabled() or dtype != torch.bfloat16
        if not gains or not winograd_pays(dtype):
            return None
        largest = {torch.float32: 4, torch.float64: 4, torch.bfloat16: 2}.get(dtype, 0)
        return next((m for m in (4, 2) if m <= largest and not x.shape[2] % m and not x.shape[3] % m), None)

    def together(self, x: Tensor, m: int) -> int:
        """Return how many images of a batch to convolve in one go, so that their tiles stay within `ROOM`."""
        tiles = x.shape[2] * x.shape[3] // m**2
        size = tiles * (m + 2) ** 2 * max(self.weight.shape[:2]) * compute_type(x).itemsize
        return max(1, ROOM // size)


class StackedConv2d(nn.Conv2d):
    """A square convolution of stride 1 with few channels on one side, which starve the kernels made for many.

    A k x k convolution is the sum over its k rows of 1 x k convolutions of the image, each moved down by one more. So
    the rows can be stacked: those of the results if few come out, else those of the image, which pays with channels
    last only.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, K, H', W')."""
        to_few = self.out_channels <= FEW_CHANNELS
        if not on_cpu(x) or not (to_few or x.is_contiguous(memory_format=torch.channels_last)):
            return super().forward(x)
        edge, mode = int(self.padding[0]), self.padding_mode
        padded = pad(x.to(compute_type(x)), [edge] * 4, mode="constant" if mode == "zeros" else mode)
        return (stack_results if to_few else stack_image)(padded, self.weight, self.bias)


def stack_image(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve x (N, C, H, W) with a filter (K, C, k, k), C small: one 1 x k convolution of k * C channels."""
    filters, channels, k, _ = weight.shape
    height = x.shape[2] - k + 1
    rows = torch.cat([x[:, :, row : row + height] for row in range(k)], 1)
    return conv2d(rows, weight.transpose(1, 2).reshape(filters, k * channels, 1, k), bias)


def stack_results(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve x (N, C, H, W) with a filter (K, C, k, k), K small: the k rows of one 1 x k convolution, added up.

    They are added in float32 at least, so that nothing is rounded more than once.
    """
    filters, channels, k, _ = weight.shape
    rows = conv2d(x, weight.permute(2, 0, 1, 3).reshape(k * filters, channels, 1, k))
    height = x.shape[2] - k + 1
    first, *others = (part[:, :, row : row + height] for row, part in enumerate(rows.chunk(k, 1)))
    y = first.to(torch.promote_types(rows.dtype, torch.float32))
    for part in others:
        y = y + part
    if bias is not None:
        y = y + bias.view(-1, 1, 1)
    return y.to(rows.dtype)


class ProductConv2d(nn.Conv2d):
    """A 4x4 convolution that halves the image; to few pixels, by one matrix product.

    Near the bottom of a U-Net a map has up to 64 pixels and its filter millions of numbers, so time goes into moving
    the filter. A product reads it once, as it lies; the usual kernels reorder it first, and so they do with its
    gradient.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, K, H / 2, W / 2)."""
        few = x.shape[0] * x.shape[2] * x.shape[3] <= 4 * FEW_PIXELS
        return at_once(halve, x, self.weight, self.bias) if on_cpu(x) and few else super().forward(x)


class ProductConvTranspose2d(nn.ConvTranspose2d):
    """A transposed 4x4 convolution that doubles the image; of few pixels, by one matrix product."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, C, H, W) to (B, K, 2H, 2W)."""
        few = x.shape[0] * x.shape[2] * x.shape[3] <= FEW_PIXELS and output_size is None
        return at_once(double, x, self.weight, self.bias) if on_cpu(x) and few else super().forward(x, output_size)


def at_once(convolve: Callable[[Tensor, Tensor], Tensor], x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve x by one matrix product, in the filter's own type: a cast of the filter would take longer."""
    with torch.autocast(x.device.type, enabled=False):
        y = convolve(x.to(weight.dtype), weight)
        y = y if bias is None else y + bias.view(-1, 1, 1)
    layout = torch.contiguous_format if x.is_contiguous() else torch.channels_last
    return y.to(compute_type(x), memory_format=layout)


def halve(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve x (N, C, H, W) with a filter (K, C, 4, 4), stride 2 and zeros as edges."""
    filters, channels = weight.shape[:2]
    height, width = x.shape[2] // 2, x.shape[3] // 2
    seen = unfold(x, 4, padding=1, stride=2)  # (N, C * 16, pixels)
    if is_channels_last(weight):
        rows = seen.view(len(x), channels, 16, -1).permute(0, 3, 2, 1)
        filter = weight.permute(0, 2, 3, 1)
    else:
        rows, filter = seen.transpose(1, 2), weight
    y = rows.reshape(-1, 16 * channels) @ filter.reshape(filters, -1).t()
    return y.view(len(x), height, width, filters).permute(0, 3, 1, 2)


def double(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve x (N, C, H, W) with a filter (C, K, 4, 4), transposed, stride 2: each pixel paints with its filters."""
    n, channels, height, width = x.shape
    filters = weight.shape[1]
    pixels = x.permute(0, 2, 3, 1).reshape(-1, channels)
    if is_channels_last(weight):
        strokes = (pixels @ weight.permute(0, 2, 3, 1).reshape(channels, -1)).view(n, -1, 16, filters)
        strokes = strokes.permute(0, 3, 2, 1).reshape(n, filters * 16, -1)
    else:
        strokes = (pixels @ weight.reshape(channels, -1)).view(n, height * width, -1).transpose(1, 2)
    return fold(strokes, (2 * height, 2 * width), 4, padding=1, stride=2)


def is_channels_last(weight: Tensor) -> bool:
    """Whether the numbers of a filter lie channel by channel for every place, so that they can be read so."""
    return not weight.is_contiguous() and weight.is_contiguous(memory_format=torch.channels_last)


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


@cache
def winograd_pays(dtype: torch.dtype) -> bool:
    """Whether Winograd's algorithm is likely to be faster in this type: not in bfloat16 with matrix units (AMX).

    Those multiply faster than the additions that save multiplications can be done.
    """
    return dtype != torch.bfloat16 or not torch.cpu._is_amx_tile_supported()


def compute_type(x: Tensor) -> torch.dtype:
    """Return the type in which a convolution of `x` computes: autocast's, where it is on."""
    if torch.is_autocast_enabled(x.device.type) and x.dtype == torch.float32:
        return torch.get_autocast_dtype(x.device.type)
    return x.dtype
