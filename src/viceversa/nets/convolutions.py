"""Convolutions in the form that this machine computes fastest; as modules they are torch's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from .winograd import Winograd, from_filter

ENOUGH = 128  # channels on both sides; with fewer, Winograd's additions cost more than the multiplications it saves
ROOM = 2**24  # bytes; beyond 2**25 the C library fetches fresh memory for every tensor, page by page

Edges: TypeAlias = Literal["zeros", "reflect", "replicate"]
_derived: ContextVar[dict[object, Tensor] | None] = ContextVar("_derived", default=None)


@contextmanager
def fixed_weights() -> Iterator[None]:
    """While this runs no weight changes, so what convolutions derive from their weights is derived once."""
    token = _derived.set({})
    try:
        yield
    finally:
        _derived.reset(token)


def derive(layer: nn.Module, name: object, how: Callable[[], Tensor]) -> Tensor:
    """Return what `how()` makes of a layer's weights, or has made since they are fixed."""
    known = _derived.get()
    if known is None:
        return how()
    key = (id(layer), name, torch.is_grad_enabled())
    if key not in known:
        known[key] = how()
    return known[key]


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution of stride 1 that keeps height and width, with edges as `padding_mode` says.

    On the CPU, wide ones go by Winograd's algorithm: all of it in float32 and float64. bfloat16 has too few digits for
    its sums, so there the network computes directly and only the gradients, which need fewer digits, go by it.
    """

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
            direct = None
            if dtype == torch.bfloat16:
                direct = derive(self, dtype, lambda: self.weight.detach().to(dtype))
            mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
            wide = pad(x.to(dtype), [1, 1, 1, 1], mode=mode)
            parts = [Winograd.apply(part, places, direct) for part in torch.split(wide, self.together(x, m))]
            y = torch.cat(parts) if len(parts) > 1 else parts[0]
            return y if self.bias is None else y + self.bias.to(dtype).view(-1, 1, 1)

    def tile(self, x: Tensor) -> int | None:
        """Return the side of Winograd's tiles for this picture, or None if it should go directly."""
        if x.device.type != "cpu" or torch.compiler.is_compiling() or min(self.weight.shape[:2]) < ENOUGH:
            return None
        largest = {torch.float32: 4, torch.float64: 4, torch.bfloat16: 2}.get(compute_type(x), 0)
        return next((m for m in (4, 2) if m <= largest and not x.shape[2] % m and not x.shape[3] % m), None)

    def together(self, x: Tensor, m: int) -> int:
        """Return how many pictures of a batch to convolve in one go, so that their tiles stay within `ROOM`."""
        tiles = x.shape[2] * x.shape[3] // m**2
        size = tiles * (m + 2) ** 2 * max(self.weight.shape[:2]) * compute_type(x).itemsize
        return max(1, ROOM // size)


def compute_type(x: Tensor) -> torch.dtype:
    """Return the type in which a convolution of `x` computes: autocast's, where it is on."""
    if torch.is_autocast_enabled(x.device.type) and x.dtype == torch.float32:
        return torch.get_autocast_dtype(x.device.type)
    return x.dtype
