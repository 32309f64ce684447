"""Square convolutions of stride 1 with few channels on one side, which starve the kernels made for many.

A k x k convolution is the sum over its k rows of 1 x k convolutions of the image, each moved down by one more. So the
rows can be stacked: those of the results if few come out, else those of the image, which pays with channels last only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from viceversa.fast_cpu.convolutions import Conv, Gradients, surround, surround_gradient

ONE = ((1, 1), (0, 0), (1, 1), False, (0, 0), 1)
"""Stride, padding and so on of the 1 x k convolutions."""


@dataclass(frozen=True)
class StackedImage:
    """For few channels in: one 1 x k convolution of k times as many."""

    def prepare(self, layer: Conv, dtype: torch.dtype) -> Tensor:
        """Return the weight (K, C, k, k) as (K, k * C, 1, k)."""
        k = layer.kernel_size[0]
        return layer.weight.transpose(1, 2).reshape(layer.out_channels, -1, 1, k).to(dtype)

    def results(self, layer: Conv, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the convolution of x."""
        return conv2d(self._rows(layer, x), weight, bias)

    def gradients(self, layer: Conv, dy: Tensor, x: Tensor, weight: Tensor, wanted: tuple[bool, bool]) -> Gradients:
        """Return the gradients of x and of the weight."""
        k, mask = layer.kernel_size[0], [*wanted, False]
        drows, dweight, _ = torch.ops.aten.convolution_backward(dy, self._rows(layer, x), weight, None, *ONE, mask)
        dx = None
        if wanted[0]:
            padded = surround(layer, x)
            gradient = torch.zeros_like(padded, dtype=torch.promote_types(x.dtype, torch.float32))
            for row, part in enumerate(drows.chunk(k, 1)):
                gradient[:, :, row : row + dy.shape[2]] += part
            dx = surround_gradient(layer, gradient.to(x.dtype), x)
        if wanted[1]:
            dweight = dweight.view(layer.out_channels, k, layer.in_channels, k).transpose(1, 2)
        return dx, dweight

    def _rows(self, layer: Conv, x: Tensor) -> Tensor:
        padded, k = surround(layer, x), layer.kernel_size[0]
        height = padded.shape[2] - k + 1
        return torch.cat([padded[:, :, row : row + height] for row in range(k)], 1)


@dataclass(frozen=True)
class StackedResults:
    """For few channels out: the k rows of one 1 x k convolution, added up.

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
