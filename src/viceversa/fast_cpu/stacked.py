"""Square convolutions of stride 1 to few channels, which starve the kernels made for many."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from viceversa.fast_cpu.convolutions import Conv, Gradients, surround, surround_gradient

ONE = ((1, 1), (0, 0), (1, 1), False, (0, 0), 1)
"""Stride, padding and so on of the 1 x k convolutions."""


@dataclass(frozen=True)
class StackedResults:
    """A k x k convolution as the sum of the k rows of one 1 x k convolution, each moved down by one more.

    They are added in float32 at least, so that nothing is rounded more than once.
    """

    def prepare(self, layer: Conv, dtype: torch.dtype) -> Tensor:
        """Return the weight (K, C, k, k) as (k * K, C, 1, k)."""
        k = layer.kernel_size[0]
        return layer.weight.permute(2, 0, 1, 3).reshape(-1, layer.in_channels, 1, k).to(dtype)

    def results(self, layer: Conv, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the convolution of x."""
        k = layer.kernel_size[0]
        rows = conv2d(surround(layer, x), weight)
        height = rows.shape[2] - k + 1
        first, *others = (part[:, :, row : row + height] for row, part in enumerate(rows.chunk(k, 1)))
        y = first.to(torch.promote_types(rows.dtype, torch.float32), copy=True)
        for part in others:
            y += part
        if bias is not None:
            y += bias.view(-1, 1, 1)
        return y.to(rows.dtype)

    def gradients(self, layer: Conv, dy: Tensor, x: Tensor, weight: Tensor, wanted: tuple[bool, bool]) -> Gradients:
        """Return the gradients of x and of the weight."""
        k, padded = layer.kernel_size[0], surround(layer, x)
        n, channels, height, width = dy.shape
        layout = torch.contiguous_format if x.is_contiguous() else torch.channels_last
        drows = dy.new_empty(n, k * channels, padded.shape[2], width).contiguous(memory_format=layout).zero_()
        for row, part in enumerate(drows.chunk(k, 1)):
            part[:, :, row : row + height] = dy
        dx, dweight, _ = torch.ops.aten.convolution_backward(drows, padded, weight, None, *ONE, [*wanted, False])
        if wanted[1]:
            dweight = dweight.view(k, channels, layer.in_channels, k).permute(1, 2, 0, 3)
        return surround_gradient(layer, dx, x) if wanted[0] else None, dweight
