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
from torch.nn.functional import conv2d, conv_transpose2d, fold, pad, unfold

Conv: TypeAlias = nn.Conv2d | nn.ConvTranspose2d
Gradients: TypeAlias = tuple[Tensor | None, Tensor | None]

_prepared: WeakKeyDictionary[nn.Module, dict[object, tuple[object, Tensor]]] = WeakKeyDictionary()


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
        ready = prepared(layer, (form, x.dtype), lambda: form.prepare(layer, x.dtype))
        ctx.save_for_backward(x, weight, ready)
        ctx.layer, ctx.form = layer, form
        return form.results(layer, x, ready, None if bias is None else bias.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, ready = ctx.saved_tensors
        wants_x, wants_weight, *wants_bias = map(is_wanted, ctx.needs_input_grad, ctx.next_functions)
        dbias = dy.sum((0, 2, 3), dtype=weight.dtype) if any(wants_bias) else None
        if torch.is_grad_enabled():  # create_graph=True
            dx, dweight = differentiable_gradients(ctx.layer, dy, x, weight, (wants_x, wants_weight))
        else:
            dx, dweight = ctx.form.gradients(ctx.layer, dy, x, ready, (wants_x, wants_weight))
        return dx, None if dweight is None else dweight.to(weight.dtype), dbias, None, None


def is_wanted(needed: bool, edge: tuple[Any, int]) -> bool:
    """Whether this backward pass goes on to an input. torch only tells Python what could be differentiated."""
    try:
        return needed and bool(torch._C._will_engine_execute_node(edge[0]))
    except RuntimeError:  # of a leaf in autograd.grad, of which the engine does not say
        return needed


def prepared(layer: Conv, name: object, make: Callable[[], Tensor]) -> Tensor:
    """Return what `make()` makes of a layer's weight, or has made since the weight last changed.

    torch counts changes of a tensor in place, but not those of `weight.data`. No gradient flows through the result.
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


ONE = ((1, 1), (0, 0), (1, 1), False, (0, 0), 1)  # stride, padding and so on of the 1 x k convolutions


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


@dataclass(frozen=True)
class Product:
    """All of a convolution with zeros as edges, or of a transposed one, by products of matrices, for few pixels.

    There the filter has more numbers than the map. The usual kernels reorder it first, and its gradient, too; a product
    reads and writes it once, as it lies. A row of its matrix belongs to one channel of the smaller map, a column to one
    channel at one place of the k x k that this pixel sees of the larger map.
    """

    def prepare(self, layer: Conv, dtype: torch.dtype) -> Tensor:
        weight = layer.weight.to(dtype)
        return (weight.permute(0, 2, 3, 1) if is_channels_last(weight) else weight).flatten(1)

    def results(self, layer: Conv, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        n, height, width = len(x), *output_size(layer, x)
        if isinstance(layer, nn.ConvTranspose2d):
            y = scatter(
                layer, matmul(x.permute(0, 2, 3, 1).flatten(0, 2), weight), (n, layer.out_channels, height, width)
            )
        else:
            y = matmul(gather(layer, x), weight.t()).view(n, height, width, -1).permute(0, 3, 1, 2)
        y = y if bias is None else y + bias.view(-1, 1, 1)
        return y.contiguous(memory_format=torch.contiguous_format if x.is_contiguous() else torch.channels_last)

    def gradients(self, layer: Conv, dy: Tensor, x: Tensor, weight: Tensor, wanted: tuple[bool, bool]) -> Gradients:
        n, _, height, width = x.shape
        dx = dweight = None
        if isinstance(layer, nn.ConvTranspose2d):
            rows, columns = x.permute(0, 2, 3, 1).flatten(0, 2), gather(layer, dy)
            if wanted[0]:
                dx = product(columns, weight.t(), rows).view(n, height, width, -1).permute(0, 3, 1, 2)
        else:
            rows, columns = dy.permute(0, 2, 3, 1).flatten(0, 2), gather(layer, x)
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
    """Return a @ b, in float32 by oneDNN: MKL, which torch asks, uses half of the registers of AMD's processors."""
    if a.dtype != torch.float32 or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return a @ b
    y: Tensor = torch.ops.mkldnn._linear_pointwise(a, b.t(), None, "none", [], "")
    return y


def output_size(layer: Conv, x: Tensor) -> tuple[int, int]:
    """Return height and width of a layer's results."""
    k, stride, padding = layer.kernel_size[0], layer.stride[0], int(layer.padding[0])
    height, width = x.shape[2:]
    if isinstance(layer, nn.ConvTranspose2d):
        return (height - 1) * stride - 2 * padding + k, (width - 1) * stride - 2 * padding + k
    return (height + 2 * padding - k) // stride + 1, (width + 2 * padding - k) // stride + 1


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
