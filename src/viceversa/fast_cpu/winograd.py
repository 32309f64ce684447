"""3x3 convolutions with fewer multiplications (Winograd, 1980; Lavin and Gray, 2016, arXiv 1509.09308).

A tile of 4 x 4 results is A^T [(G w G^T) * (B^T x B)] A, where x are the 6 x 6 values it sees and w is the filter. The
product in brackets goes element by element, so for each of the 36 places in a tile it is one matrix product over the
channels. It is the function that a convolution computes, with 2.25 multiplications for each result instead of 9. The
gradients are the same three steps transposed and in reverse order.

It pays in float32 and for wide networks: a step of CycleGAN's ResNet-9 takes 1.17 times as long without it at 256 px,
and as long at 128 px (one thread, CPU time). In bfloat16 torch's own is as fast.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import prod

import torch
from torch import Tensor
from torch.nn.functional import pad

from viceversa.fast_cpu.convolutions import Conv, Gradients, matmul, surround, surround_gradient

ROOM = 2**24
"""Bytes; beyond 2**25 the C library fetches fresh memory for every tensor, page by page."""

TILE, SEEN = 4, 6
"""Pixels a side: of a tile of results, and of the values that it sees."""
Matrix = tuple[tuple[float, ...], ...]

B: Matrix = (  # B^T, from the values seen
    *((4, 0, -5, 0, 1, 0), (0, -4, -4, 1, 1, 0), (0, 4, -4, -1, 1, 0)),
    *((0, -2, -1, 2, 1, 0), (0, 2, -1, -2, 1, 0), (0, 4, 0, -5, 0, 1)),
)
G: Matrix = (  # from the filter
    *((1 / 4, 0, 0), (-1 / 6, -1 / 6, -1 / 6), (-1 / 6, 1 / 6, -1 / 6)),
    *((1 / 24, 1 / 12, 1 / 6), (1 / 24, -1 / 12, 1 / 6), (0, 0, 1)),
)
A: Matrix = (  # A^T, to the results
    *((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0)),
    *((0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1)),
)


@dataclass(frozen=True)
class Winograd:
    """A 3x3 convolution, edges one pixel wide, by tiles; results are laid out channels_last.

    Images whose sides are no multiples of a tile's are filled up with zeros. Of a batch so many are convolved in one go
    that their tiles stay within `ROOM`.
    """

    def prepare(self, layer: Conv, dtype: torch.dtype) -> Tensor:
        """Return the filter's values at the places of a tile, (places, C, K)."""
        return from_filter(layer.weight).to(dtype)

    def results(self, layer: Conv, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        found = []
        for part in torch.split(x, together(layer, x)):
            seen = filled_up(surround(layer, part), 2)
            y = cut(to_results(product("results", from_values(seen), weight), seen.shape), part)
            found.append(y if bias is None else y.add_(bias.view(-1, 1, 1)))
        return torch.cat(found) if len(found) > 1 else found[0]

    def gradients(self, layer: Conv, dy: Tensor, x: Tensor, weight: Tensor, wanted: tuple[bool, bool]) -> Gradients:
        dxs, dweights, count = [], [], together(layer, x)
        for part, dpart in zip(torch.split(x, count), torch.split(dy, count), strict=True):
            padded = surround(layer, part)
            seen, results = filled_up(padded, 2), from_gradient(filled_up(dpart))
            if wanted[0]:
                dseen = to_values_gradient(product("values", results, weight.transpose(1, 2)), seen.shape)
                dxs.append(surround_gradient(layer, cut(dseen, padded), part))
            if wanted[1]:
                dplaces = product("filter", results.transpose(1, 2), from_values(seen))
                dweights.append(to_filter_gradient(dplaces))
        dx = torch.cat(dxs) if len(dxs) > 1 else next(iter(dxs), None)
        return dx, sum(dweights[1:], start=dweights[0]) if dweights else None


def together(layer: Conv, x: Tensor) -> int:
    """Return how many images are convolved in one go."""
    tiles = -(-x.shape[2] // TILE) * -(-x.shape[3] // TILE)
    return max(1, ROOM // (tiles * SEEN**2 * max(layer.in_channels, layer.out_channels) * x.itemsize))


def filled_up(x: Tensor, edges: int = 0) -> Tensor:
    """Return x with zeros to the right and below, so that tiles fit, beside `edges` pixels of surroundings."""
    below, right = ((edges - side) % TILE for side in x.shape[2:])
    return pad(x, [0, right, 0, below]) if right or below else x  # pad would copy


def cut(x: Tensor, like: Tensor) -> Tensor:
    """Return as many rows and columns as another has."""
    height, width = like.shape[2:]
    return x[..., :height, :width].contiguous(memory_format=torch.channels_last)


def product(name: str, a: Tensor, b: Tensor) -> Tensor:
    """Return the matrix products (places, rows, columns) of each place, in scratch memory of that name."""
    results = scratch(name, a.dtype, len(a), a.shape[1], b.shape[2])
    for rows, columns, result in zip(a, b, results, strict=True):
        result.copy_(matmul(rows, columns))
    return results


def from_values(x: Tensor) -> Tensor:
    """Return B^T x B of all tiles of (N, C, H + 2, W + 2): (places, tiles, C)."""
    n, c, height, width = x.shape
    high, wide = height // TILE, width // TILE
    rows = scratch("rows", x.dtype, SEEN, n, high, width, c)
    blend(B, overlapping(x.permute(0, 2, 3, 1), 1), rows)
    places = scratch("from values", x.dtype, SEEN, SEEN, n, high, wide, c)
    blend(B, overlapping(rows, 3), places.unbind(1))
    return places.view(SEEN**2, -1, c)


def to_values_gradient(places: Tensor, shape: torch.Size) -> Tensor:
    """Return the gradient of x, given that of `from_values(x)`."""
    n, c, height, width = shape
    high, wide = height // TILE, width // TILE
    rows = scratch("rows", places.dtype, SEEN, n, high, width, c)
    spread(B, places.view(SEEN, SEEN, n, high, wide, c).unbind(1), rows, 3)
    dx = places.new_empty(n, height, width, c)
    spread(B, rows, dx, 1)
    return dx.permute(0, 3, 1, 2)


def to_results(places: Tensor, shape: torch.Size) -> Tensor:
    """Return A^T places A, (N, K, H, W), given (places, tiles, K) and the shape of x."""
    n, _, height, width = shape
    high, wide = height // TILE, width // TILE
    columns = scratch("rows", places.dtype, SEEN, TILE, n, high, wide, places.shape[2])
    blend(A, places.view(SEEN, SEEN, n, high, wide, -1).unbind(1), columns.unbind(1))
    y = places.new_empty(n, high, TILE, wide, TILE, places.shape[2])
    blend(A, columns.permute(0, 2, 3, 4, 1, 5), y.unbind(2))
    return y.view(n, high * TILE, wide * TILE, -1).permute(0, 3, 1, 2)


def from_gradient(gradient: Tensor) -> Tensor:
    """Return the gradient of the places, (places, tiles, K), given that of the results (N, K, H, W)."""
    n, k, height, width = gradient.shape
    high, wide = height // TILE, width // TILE
    y = gradient.permute(0, 2, 3, 1).contiguous().view(n, high, TILE, wide, TILE, k)
    columns = scratch("rows", y.dtype, SEEN, n, high, wide, TILE, k)
    blend(transposed(A), y.unbind(2), columns)
    places = scratch("from gradient", y.dtype, SEEN, SEEN, n, high, wide, k)
    blend(transposed(A), columns.unbind(4), places.unbind(1))
    return places.view(SEEN**2, -1, k)


def from_filter(filter: Tensor) -> Tensor:
    """Return G w G^T of a filter (K, C, 3, 3): (places, C, K)."""
    k, c = filter.shape[:2]
    places = both_ways(filter.dtype) @ filter.permute(2, 3, 0, 1).reshape(9, k * c)
    return places.view(-1, k, c).transpose(1, 2)


def to_filter_gradient(places: Tensor) -> Tensor:
    """Return the gradient of the filter, (K, C, 3, 3), given that of the places, (places, K, C)."""
    k, c = places.shape[1:]
    gradient = both_ways(places.dtype).t() @ places.view(len(places), k * c)
    return gradient.view(3, 3, k, c).permute(2, 3, 0, 1)


@cache
def both_ways(dtype: torch.dtype) -> Tensor:
    """Return the matrix that takes a filter's 9 numbers to its 36 places."""
    g = torch.tensor(G, dtype=torch.float64)
    return torch.kron(g, g).to(dtype)


@cache
def transposed(matrix: Matrix) -> Matrix:
    """Return the matrix transposed."""
    return tuple(zip(*matrix, strict=True))


def overlapping(x: Tensor, dim: int) -> tuple[Tensor, ...]:
    """Return the values at place 0, 1, ... 5 of all tiles along a dimension: strided views."""
    return x.unfold(dim, SEEN, TILE).unbind(-1)


def blend(matrix: Matrix, parts: Sequence[Tensor] | Tensor, results: Sequence[Tensor] | Tensor) -> None:
    """Write results[i] = sum over j of matrix[i][j] * parts[j]."""
    for row, result in zip(matrix, results, strict=True):
        terms = [(factor, part) for factor, part in zip(row, parts, strict=True) if factor]
        (first, start), *rest = sorted(terms, key=lambda term: term[0] != 1)
        if first == 1 and rest:  # two terms in one pass
            (second, then), *rest = rest
            torch.add(start, then, alpha=second, out=result)
        else:
            torch.mul(start, first, out=result)
        for factor, part in rest:
            result.add_(part, alpha=factor)


def spread(matrix: Matrix, parts: Sequence[Tensor] | Tensor, result: Tensor, dim: int) -> None:
    """Undo `blend(matrix, overlapping(result, dim), parts)` as its transpose does: tiles add up where they overlap."""
    result.narrow(dim, result.shape[dim] - 2, 2).zero_()  # only the last tile's overhang
    steps, rows = overlapping(result, dim), transposed(matrix)
    blend(rows[:TILE], parts, steps[:TILE])  # side by side
    for row, step in zip(rows[TILE:], steps[TILE:], strict=True):
        for factor, part in zip(row, parts, strict=True):
            if factor:
                step.add_(part, alpha=factor)


class _Memory(threading.local):
    """What this thread has taken so far. Fresh memory for each operation would leave holes that fit nothing."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, torch.dtype], Tensor] = {}


_memory = _Memory()


def scratch(name: str, dtype: torch.dtype, *shape: int) -> Tensor:
    """Return a tensor of that shape with anything in it, which whoever takes the same name next may overwrite."""
    known, size = _memory.known.get((name, dtype)), prod(shape)
    if known is None or len(known) < size:
        with torch.inference_mode(False):  # it will be written to in either mode
            known = _memory.known[name, dtype] = torch.empty(size, dtype=dtype)
    return known[:size].view(shape)
