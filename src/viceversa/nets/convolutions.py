"""Convolutions in the form that this machine computes fastest; as modules they are torch's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import cast

import torch
from torch import Tensor, nn

from .padding import Edges, surround
from .products import convolve, convolve_transposed
from .rows import from_few, to_few
from .winograd import Winograd
from .winograd_steps import from_filter

ENOUGH = 128  # channels on both sides; with fewer, Winograd's additions cost more than the multiplications it saves
FEW = 8  # channels; with so few on one side, rows are stacked
BOTTOM = 64  # pixels of a batch; so few are multiplied with the whole filter at once
ROOM = 2**24  # bytes; beyond 2**25 the C library fetches fresh memory for every tensor, page by page

_derived: ContextVar[dict[object, Tensor] | None] = ContextVar("_derived", default=None)


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
    key = (id(layer), name)
    if key not in known:
        known[key] = how()
    return known[key]


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution of stride 1 that keeps height and width, with edges as `padding_mode` says.

    On the CPU, wide ones go by Winograd's algorithm: all of it in float32 and float64. bfloat16 has few digits for its
    sums, so there the network computes directly and only the gradients, which need fewer digits, go by it; unless it
    is `hasty`, as a trained network may be that only translates.
    """

    winograd: bool | None = None
    """Whether wide ones go by it; None: where `winograd_pays`."""
    hasty: bool = False

    def __init__(
        self, in_channels: int, out_channels: int, *, padding_mode: Edges = "zeros", bias: bool = True
    ) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, padding_mode=padding_mode, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, K, H, W)."""
        dtype, m = compute_type(x), self.tile(x)
        if m is None:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):  # it would pad in float32, and cast twice
            places = derive(self, (m, dtype), lambda: from_filter(self.weight, m).to(dtype))
            few_digits = dtype == torch.bfloat16 and not self.hasty
            direct = derive(self, dtype, lambda: self.weight.to(dtype)) if few_digits else None
            parts = torch.split(x.to(dtype), self.together(x, m))
            fixed = self.weight, self.bias, places, direct, self.padding_mode
            results = [Winograd.apply(part, *fixed) for part in parts]
            return torch.cat(results) if len(results) > 1 else results[0]

    def tile(self, x: Tensor) -> int | None:
        """Return the side of Winograd's tiles for this picture, or None if it should go directly."""
        if not on_cpu(x) or min(self.weight.shape[:2]) < ENOUGH:
            return None
        dtype = compute_type(x)
        if not (winograd_pays(dtype) if self.winograd is None else self.winograd):
            return None
        if dtype == torch.bfloat16 and not (self.hasty or torch.is_grad_enabled()):
            return None
        largest = {torch.float32: 4, torch.float64: 4, torch.bfloat16: 2}.get(dtype, 0)
        return next((m for m in (4, 2) if m <= largest and not x.shape[2] % m and not x.shape[3] % m), None)

    def together(self, x: Tensor, m: int) -> int:
        """Return how many pictures of a batch to convolve in one go, so that their tiles stay within `ROOM`."""
        tiles = x.shape[2] * x.shape[3] // m**2
        size = tiles * (m + 2) ** 2 * max(self.weight.shape[:2]) * compute_type(x).itemsize
        return max(1, ROOM // size)


class NarrowConv(nn.Conv2d):
    """A square convolution of stride 1 with few channels on one side, such as a network's first or last.

    Few on the way in are worth a form of their own with channels last only.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, K, H', W')."""
        into_few = self.out_channels <= FEW
        out_of_few = self.in_channels <= FEW and x.is_contiguous(memory_format=torch.channels_last)
        if not on_cpu(x) or not (into_few or out_of_few):
            return super().forward(x)
        edge, mode = int(self.padding[0]), cast(Edges, self.padding_mode)
        convolve = to_few if into_few else from_few
        return convolve(surround(x.to(compute_type(x)), edge, mode), self.weight, self.bias)


class Halving(nn.Conv2d):
    """A 4x4 convolution that halves the image."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 4, stride=2, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, K, H / 2, W / 2)."""
        few = x.shape[0] * x.shape[2] * x.shape[3] <= 4 * BOTTOM
        return at_once(convolve, x, self) if on_cpu(x) and few else super().forward(x)


class Doubling(nn.ConvTranspose2d):
    """A transposed 4x4 convolution that doubles the image."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 4, stride=2, padding=1, bias=bias)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, C, H, W) to (B, K, 2H, 2W)."""
        few = x.shape[0] * x.shape[2] * x.shape[3] <= BOTTOM
        return at_once(convolve_transposed, x, self) if on_cpu(x) and few else super().forward(x)


def at_once(convolve: Callable[..., Tensor], x: Tensor, layer: Halving | Doubling) -> Tensor:
    """Convolve x by one matrix product, in the filter's own type: a cast of the filter would take longer."""
    with torch.autocast(x.device.type, enabled=False):
        y = convolve(x.to(layer.weight.dtype), layer.weight, stride=2, padding=1)
        y = y if layer.bias is None else y + layer.bias.view(-1, 1, 1)
    layout = torch.contiguous_format if x.is_contiguous() else torch.channels_last
    return y.to(compute_type(x), memory_format=layout)


def on_cpu(x: Tensor) -> bool:
    """Whether it is worth choosing a form: on a GPU, and for a compiler, torch's own is best."""
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


@cache
def winograd_pays(dtype: torch.dtype) -> bool:
    """Whether Winograd's algorithm is likely to be faster in this type: not in bfloat16 with matrix units (AMX).

    Those multiply faster than the additions that save multiplications can be done.
    """
    return dtype != torch.bfloat16 or not torch.cpu._is_amx_tile_supported()


def choose_winograd(net: nn.Module, wanted: bool | None) -> None:
    """Let the 3x3 convolutions of a network go by Winograd's algorithm, or not, or where it is likely to pay (None)."""
    for module in net.modules():
        if isinstance(module, Conv3x3):
            module.winograd = wanted


def compute_type(x: Tensor) -> torch.dtype:
    """Return the type in which a convolution of `x` computes: autocast's, where it is on."""
    if torch.is_autocast_enabled(x.device.type) and x.dtype == torch.float32:
        return torch.get_autocast_dtype(x.device.type)
    return x.dtype
