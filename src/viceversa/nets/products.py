"""Convolutions of few pixels and many channels, each as one matrix product.

Near the bottom of a U-Net a map has up to 64 pixels and its filter millions of numbers, so time goes into moving the
filter. A product reads it once, as it lies; the convolution kernels reorder it first, and so they do with its gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import fold, unfold


def convolve(x: Tensor, weight: Tensor, *, stride: int, padding: int) -> Tensor:
    """Convolve x (N, C, H, W) with a filter (K, C, k, k)."""
    filters, channels, k, _ = weight.shape
    height, width = ((side + 2 * padding - k) // stride + 1 for side in x.shape[2:])
    seen = unfold(x, k, padding=padding, stride=stride)  # (N, C * k * k, pixels)
    if _pixelwise(weight):
        rows = seen.view(len(x), channels, k * k, -1).permute(0, 3, 2, 1)
        filter = weight.permute(0, 2, 3, 1)
    else:
        rows, filter = seen.transpose(1, 2), weight
    y = rows.reshape(-1, k * k * channels) @ filter.reshape(filters, -1).t()
    return y.view(len(x), height, width, filters).permute(0, 3, 1, 2)


def convolve_transposed(x: Tensor, weight: Tensor, *, stride: int, padding: int) -> Tensor:
    """Convolve x (N, C, H, W) with a filter (C, K, k, k), transposed: each pixel paints with its filters."""
    n, channels, height, width = x.shape
    filters, k = weight.shape[1:3]
    pixels = x.permute(0, 2, 3, 1).reshape(-1, channels)
    if _pixelwise(weight):
        strokes = (pixels @ weight.permute(0, 2, 3, 1).reshape(channels, -1)).view(n, -1, k * k, filters)
        strokes = strokes.permute(0, 3, 2, 1).reshape(n, filters * k * k, -1)
    else:
        strokes = (pixels @ weight.reshape(channels, -1)).view(n, height * width, -1).transpose(1, 2)
    grown = (height - 1) * stride - 2 * padding + k, (width - 1) * stride - 2 * padding + k
    return fold(strokes, grown, k, padding=padding, stride=stride)


def _pixelwise(weight: Tensor) -> bool:
    """Whether the numbers of a filter lie channel by channel for every place, so that they can be read so."""
    return not weight.is_contiguous() and weight.is_contiguous(memory_format=torch.channels_last)
