"""3x3 convolutions with fewer multiplications (Winograd, 1980; Lavin and Gray, 2016, arXiv 1509.09308).

A tile of m x m results is A^T [(G w G^T) * (B^T x B)] A, where x are the (m + 2) x (m + 2) values it sees and w is the
filter. The product in brackets goes element by element, so for each of the (m + 2)^2 places in a tile it is one matrix
product over the channels. It is the function that a convolution computes, with (m + 2)^2 / m^2 multiplications for
each result instead of 9: 4 with m = 2, 2.25 with m = 4.

The gradients are the same three steps transposed and in reverse order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .padding import Edges, surround, surround_gradient
from .scratch import scratch
from .winograd_steps import from_gradient, from_values, side, to_filter_gradient, to_results, to_values_gradient


class Winograd(torch.autograd.Function):
    """Convolve x (N, C, H, W), with edges one pixel wide, with a 3x3 filter (K, C, 3, 3) into (N, K, H, W).

    The result is laid out channels_last. `places` is what `from_filter` makes of the filter, in the type of x; H and W
    must be multiples of its m. Given `direct`, too, the filter in the type of x, x is convolved with that, and only the
    gradients go by the places. Differentiable once.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        filter: Tensor,
        bias: Tensor | None,
        places: Tensor,
        direct: Tensor | None,
        edges: Edges,
    ) -> Tensor:
        """Return the convolution; only x is kept, which others keep, too: its edges are made again."""
        ctx.save_for_backward(x, places)
        ctx.dtype, ctx.edges = filter.dtype, edges
        wide = surround(x, 1, edges)
        shift = None if bias is None else bias.to(x.dtype)
        if direct is not None:
            return torch.conv2d(wide, direct, shift)
        y = to_results(product("results", from_values(wide, side(places)), places), wide.shape)
        return y if shift is None else y.add_(shift.view(-1, 1, 1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of `x`, of the filter and of the bias."""
        x, places = ctx.saved_tensors
        wide, m = surround(x, 1, ctx.edges), side(places)
        results = from_gradient(gradient, m)
        dx = dfilter = dbias = None
        if ctx.needs_input_grad[0]:
            dwide = to_values_gradient(product("values", results, places.transpose(1, 2)), wide.shape)
            dx = surround_gradient(dwide, x, 1, ctx.edges)
        if ctx.needs_input_grad[1]:
            dplaces = product("filter", results.transpose(1, 2), from_values(wide, m))
            dfilter = to_filter_gradient(dplaces).to(ctx.dtype)
        if ctx.needs_input_grad[2]:
            dbias = gradient.sum((0, 2, 3), dtype=ctx.dtype)
        return dx, dfilter, dbias, None, None, None


def product(name: str, a: Tensor, b: Tensor) -> Tensor:
    """Return the matrix products (places, rows, columns) of each place, in scratch memory of that name."""
    return torch.bmm(a, b, out=scratch(name, a.dtype, len(a), a.shape[1], b.shape[2]))
