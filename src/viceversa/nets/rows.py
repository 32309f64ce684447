"""Convolutions with few channels on one side, which starve the kernels that are made for many.

A k x k convolution is the sum over its k rows of 1 x k convolutions of the picture, each moved down by one more. So the
rows can be stacked: those of the picture if few channels come in, those of the results if few come out.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d


def from_few(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve x (N, C, H, W) with a filter (K, C, k, k), C small: one 1 x k convolution of k * C channels."""
    filters, channels, k, _ = weight.shape
    height = x.shape[2] - k + 1
    rows = torch.cat([x[:, :, row : row + height] for row in range(k)], 1)
    return conv2d(rows, weight.transpose(1, 2).reshape(filters, k * channels, 1, k), bias)


def to_few(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
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
