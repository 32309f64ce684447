"""Convolutions of few pixels by one matrix product.

Where a map has few pixels its filter has more numbers than the map, and time goes into moving the filter. The usual
kernels reorder it first, and so they do with its gradient; a product reads and writes it once, as it lies. A row of its
matrix belongs to one channel of the smaller map, a column to one channel at one place of the k x k that this pixel sees
of the larger map.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import fold, pad, unfold

from viceversa.fast_cpu.convolutions import Conv, Gradients, is_channels_last


@dataclass(frozen=True)
class Product:
    """All of a convolution with zeros as edges, or of a transposed one, by products of matrices."""

    def prepare(self, layer: Conv, dtype: torch.dtype) -> Tensor:
        """Return the weight in this type, (rows, columns) as it lies."""
        weight = layer.weight.to(dtype)
        return (weight.permute(0, 2, 3, 1) if is_channels_last(weight) else weight).flatten(1)

    def results(self, layer: Conv, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the convolution of x."""
        n, height, width = len(x), *output_size(layer, x)
        if isinstance(layer, nn.ConvTranspose2d):
            y = scatter(layer, matmul(rows_of(x), weight), (n, layer.out_channels, height, width))
        else:
            y = matmul(gather(layer, x), weight.t()).view(n, height, width, -1).permute(0, 3, 1, 2)
        y = y if bias is None else y + bias.view(-1, 1, 1)
        return y.contiguous(memory_format=torch.contiguous_format if x.is_contiguous() else torch.channels_last)

    def gradients(self, layer: Conv, dy: Tensor, x: Tensor, weight: Tensor, wanted: tuple[bool, bool]) -> Gradients:
        """Return the gradients of x and of the weight."""
        n, _, height, width = x.shape
        dx = dweight = None
        if isinstance(layer, nn.ConvTranspose2d):
            rows, columns = rows_of(x), gather(layer, dy)
            if wanted[0]:
                dx = product(columns, weight.t(), rows).view(n, height, width, -1).permute(0, 3, 1, 2)
        else:
            rows, columns = rows_of(dy), gather(layer, x)
            if wanted[0]:
                dx = scatter(layer, product(rows, weight, rows), x.shape)
        if wanted[1]:
            k, channels = layer.kernel_size[0], layer.weight.shape[1]
            dweight, last = matmul(rows.t(), columns), is_channels_last(layer.weight)
            dweight = dweight.view(-1, k, k, channels).permute(0, 3, 1, 2) if last else dweight.view_as(layer.weight)
        return dx, dweight


def product(a: Tensor, b: Tensor, like: Tensor) -> Tensor:
    """Return a @ b, laid out as `like`, by rows or by columns."""
    return matmul(a, b) if like.is_contiguous() else matmul(b.t(), a.t()).t()


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Return a @ b, in float32 by oneDNN, as convolutions are.

    torch asks MKL, which uses only half of each register of processors that are not Intel's.
    """
    if not by_onednn(a):
        return a @ b
    y: Tensor = torch.ops.mkldnn._linear_pointwise(a, b.t(), None, "none", [], "")
    return y


def by_onednn(x: Tensor) -> bool:
    """Whether oneDNN is there and torch would not ask it by itself."""
    return x.dtype == torch.float32 and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def output_size(layer: Conv, x: Tensor) -> tuple[int, int]:
    """Return height and width of a layer's results."""
    k, stride, padding = layer.kernel_size[0], layer.stride[0], int(layer.padding[0])
    height, width = x.shape[2:]
    if isinstance(layer, nn.ConvTranspose2d):
        return (height - 1) * stride - 2 * padding + k, (width - 1) * stride - 2 * padding + k
    return (height + 2 * padding - k) // stride + 1, (width + 2 * padding - k) // stride + 1


def rows_of(x: Tensor) -> Tensor:
    """Return the pixels of the smaller map, (N * H * W, C)."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def gather(layer: Conv, x: Tensor) -> Tensor:
    """Return what each pixel of the smaller map sees of the larger map x, (pixels, columns)."""
    k, stride, edge = layer.kernel_size[0], layer.stride[0], int(layer.padding[0])
    if not is_channels_last(layer.weight):
        seen = unfold(x, k, padding=edge, stride=stride).transpose(1, 2)
        return seen.reshape(-1, seen.shape[2])
    seen = pad(x, [edge] * 4).unfold(2, k, stride).unfold(3, k, stride).permute(0, 2, 3, 4, 5, 1)
    return seen.reshape(-1, k * k * x.shape[1])


def scatter(layer: Conv, columns: Tensor, shape: torch.Size | tuple[int, ...]) -> Tensor:
    """Undo `gather` as its transpose does: add up in a map of that shape; in float32 at least."""
    n, channels, height, width = shape
    k, stride, edge = layer.kernel_size[0], layer.stride[0], int(layer.padding[0])
    high, wide = (height + 2 * edge - k) // stride + 1, (width + 2 * edge - k) // stride + 1
    if not is_channels_last(layer.weight):
        return fold(columns.view(n, high * wide, -1).transpose(1, 2), (height, width), k, padding=edge, stride=stride)
    parts = columns.view(n, high, wide, k, k, channels)
    dtype = torch.promote_types(columns.dtype, torch.float32)
    wider = columns.new_zeros(n, high, width + 2 * edge, k, channels, dtype=dtype)
    for place in range(k):
        wider[:, :, place : place + stride * wide : stride] += parts[:, :, :, :, place]
    larger = columns.new_zeros(n, height + 2 * edge, width + 2 * edge, channels, dtype=dtype)
    for place in range(k):
        larger[:, place : place + stride * high : stride] += wider[:, :, :, place]
    return larger[:, edge : edge + height, edge : edge + width].to(columns.dtype).permute(0, 3, 1, 2)
