"""Convolutions that compute what torch's own do, each in one of several forms.

A convolution here is one node of the graph of gradients: edges, bias and casts are part of it. Its weight is brought
into its form once after each update, not for every use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, pad

Conv: TypeAlias = nn.Conv2d | nn.ConvTranspose2d
Gradients: TypeAlias = tuple[Tensor | None, Tensor | None]
Stamp: TypeAlias = tuple[int, int, tuple[int, ...]]

_prepared: WeakKeyDictionary[nn.Module, dict[object, tuple[Stamp, Tensor]]] = WeakKeyDictionary()


class Form(Protocol):
    """A way to convolve: without bias, in the type of x, (N, C, H, W)."""

    def prepare(self, layer: Conv, dtype: torch.dtype) -> Tensor:
        """Return the layer's weight in the form that the others take."""

    def results(self, layer: Conv, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the convolution of x."""

    def gradients(self, layer: Conv, dy: Tensor, x: Tensor, weight: Tensor, wanted: tuple[bool, bool]) -> Gradients:
        """Return those of the gradients of x and of the layer's weight that are wanted, given that of the results."""


class Convolve(torch.autograd.Function):
    """Convolve x (N, C, H, W) as a layer does, in a given form. Of what is computed only x is kept.

    Where gradients are to be differentiated again, they are those of torch's convolution.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, layer: Conv, form: Form) -> Tensor:
        """Return (N, K, H', W'); `weight` and `bias` are the layer's."""
        ready = prepared(layer, (form, x.dtype), lambda: form.prepare(layer, x.dtype))
        ctx.save_for_backward(x, weight, ready)
        ctx.layer, ctx.form = layer, form
        return form.results(layer, x, ready, None if bias is None else bias.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, weight and bias."""
        x, weight, ready = ctx.saved_tensors
        wants_x, wants_weight, *wants_bias = map(is_wanted, ctx.needs_input_grad, ctx.next_functions)
        dbias = dy.sum((0, 2, 3), dtype=weight.dtype) if any(wants_bias) else None
        if torch.is_grad_enabled():  # create_graph=True
            dx, dweight = differentiable_gradients(ctx.layer, dy, x, weight, (wants_x, wants_weight))
        else:
            dx, dweight = ctx.form.gradients(ctx.layer, dy, x, ready, (wants_x, wants_weight))
        return dx, None if dweight is None else dweight.to(weight.dtype), dbias, None, None


def is_wanted(needed: bool, edge: tuple[Any, int]) -> bool:
    """Whether this backward pass goes on to an input: what is not among its `inputs` needs no gradient.

    torch's own nodes ask the same; to functions written in Python it only tells what could be differentiated.
    """
    try:
        return needed and bool(torch._C._will_engine_execute_node(edge[0]))
    except RuntimeError:  # of a leaf in autograd.grad, of which the engine does not say
        return needed


def prepared(layer: Conv, name: object, make: Callable[[], Tensor]) -> Tensor:
    """Return what `make()` makes of a layer's weight, or has made since the weight last changed.

    torch counts changes of a tensor in place; `weight.data` has a counter of its own, so nothing may change that. No
    gradient flows through the result, which serves passes with gradients even if it was made while translating.
    """
    weight = layer.weight
    if weight.is_inference():  # counts nothing
        return make()
    known, stamp = _prepared.setdefault(layer, {}), (weight._version, weight.data_ptr(), weight.stride())
    if name not in known or known[name][0] != stamp:
        with torch.inference_mode(False), torch.no_grad():
            known[name] = stamp, make()
    return known[name][1]


def differentiable_gradients(
    layer: Conv, dy: Tensor, x: Tensor, weight: Tensor, wanted: tuple[bool, bool]
) -> Gradients:
    """Return the wanted gradients of x and weight as functions that can be differentiated themselves."""
    if isinstance(layer, nn.Conv2d):
        y = layer._conv_forward(x, weight.to(x.dtype), None)
    else:
        y = conv_transpose2d(x, weight.to(x.dtype), None, layer.stride, layer.padding, layer.output_padding)  # type: ignore[arg-type]
    inputs = [tensor for tensor, needed in zip((x, weight), wanted, strict=True) if needed]
    found = iter(torch.autograd.grad(y, inputs, dy, create_graph=True) if inputs else ())
    return next(found) if wanted[0] else None, next(found) if wanted[1] else None


def surround(layer: Conv, x: Tensor) -> Tensor:
    """Return x with as many pixels more on every side as the layer sees there."""
    edge, mode = int(layer.padding[0]), layer.padding_mode
    return pad(x, [edge] * 4, mode="constant" if mode == "zeros" else mode)


def surround_gradient(layer: Conv, gradient: Tensor, x: Tensor) -> Tensor:
    """Return the gradient of x, given that of `surround(layer, x)`."""
    edge, mode = int(layer.padding[0]), layer.padding_mode
    if mode == "zeros":
        return gradient[..., edge:-edge, edge:-edge]
    back = torch.ops.aten.reflection_pad2d_backward if mode == "reflect" else torch.ops.aten.replication_pad2d_backward
    dx: Tensor = back(gradient, x, [edge] * 4)
    return dx


def is_channels_last(weight: Tensor) -> bool:
    """Whether the numbers of a filter lie channel by channel for every place, so that they can be read so."""
    return not weight.is_contiguous() and weight.is_contiguous(memory_format=torch.channels_last)


ONE = ((1, 1), (0, 0), (1, 1), False, (0, 0), 1)
"""Stride, padding and so on of the 1 x k convolutions."""


@dataclass(frozen=True)
class StackedResults:
    """A k x k convolution to few channels, for which no kernel is made: the k rows of one 1 x k convolution, added up.

    Each is moved down by one more. They are added in float32 at least, so that nothing is rounded more than once.
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
