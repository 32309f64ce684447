"""What the layers of a network need of an image that is gone through in bands of rows, and the graph of these layers.

A convolution needs some more rows than it makes; a normalisation needs statistics of the whole image.
"""

from __future__ import annotations

import copy
import operator
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from viceversa.nets import Generator
from viceversa.nets.blocks import BlurDown, BlurUp
from viceversa.nets.layers import BatchNorm, Clamp, InstanceNorm, StandardisedWeights

POINTWISE = {
    functional.relu, functional.leaky_relu, functional.elu, torch.relu, torch.tanh, torch.sigmoid,
    operator.add, operator.mul, operator.sub, operator.truediv, nn.Identity, nn.Dropout, nn.ReLU, nn.LeakyReLU, nn.ELU,
    nn.Tanh, nn.Sigmoid, nn.BatchNorm2d, BatchNorm, Clamp, StandardisedWeights,
}  # fmt: skip
"""Functions and layers that compute each pixel from that pixel alone."""
DIM = {torch.cat: 1, torch.split: 2}
"""Functions that do so along one dimension, and its place among their arguments."""
Moments: TypeAlias = tuple[Tensor, Tensor]
"""Mean and variance of a map's pixels, each (C)."""
_tracing = threading.Lock()


@dataclass(frozen=True)
class Window:
    """How rows of a result depend on rows of the input, as in a convolution; with `up`, in a transposed one."""

    kernel: int = 1
    stride: int = 1
    padding: int = 0
    up: int = 1
    output_padding: int = 0

    def size(self, length: int) -> int:
        """Return the height (or width) of the result for that of the input."""
        if self.up > 1:
            return (length - 1) * self.up - 2 * self.padding + self.kernel + self.output_padding
        return (length + 2 * self.padding - self.kernel) // self.stride + 1

    def needed(self, rows: range, height: int) -> range:
        """Return the rows of an input of this height from which a layer computes these rows of its result rightly."""
        first, last = rows[0], rows[-1]
        if self.up > 1:
            first, end = -(-(first + self.padding - self.kernel + 1) // self.up), (last + self.padding) // self.up + 1
        else:
            first, end = (row * self.stride - self.padding for row in (first, last))
            end += self.kernel
        fewest = self.padding + 1  # a reflection takes so many
        end = min(height, max(end, max(first, 0) + fewest))
        first = max(0, min(first, end - fewest))
        return range(first // self.stride * self.stride, end)

    def start(self, needed: range) -> int:
        """Return which row of the result comes first if a layer is given only the needed rows."""
        return needed[0] * self.up // self.stride


def trace(net: Generator) -> fx.Graph:
    """Return the graph of a generator's layers and functions; ValueError, with the reason, if it cannot be had."""
    if net.size is not None:
        raise ValueError("it takes one size of images only")
    if any(layer.training and layer.p > 0 for layer in net.modules() if isinstance(layer, nn.Dropout)):
        raise ValueError("it draws random numbers")
    if not any(True for _ in net.parameters()):
        raise ValueError("an exported file cannot be taken apart")
    with _tracing:
        try:
            return _in_one_type(_Tracer().trace(net))
        except Exception as error:  # whatever a network does with what is no tensor
            raise ValueError(f"its layers cannot be told apart ({error})") from None


def _in_one_type(graph: fx.Graph) -> fx.Graph:
    """Leave out conversions to the type of another map: all are float32."""
    for node in reversed(list(graph.nodes)):
        if node.op == "call_method" and node.target == "to":
            node.replace_all_uses_with(node.all_input_nodes[0])
            graph.erase_node(node)
        elif node.target is getattr and not node.users:
            graph.erase_node(node)
    return graph


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.Conv2d | nn.ConvTranspose2d) or not any(m.children())

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if not any(isinstance(arg, fx.Proxy) for arg in args):  # called by another thread: torch traces all of them
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)


def window_of(node: fx.Node, layer: nn.Module | None) -> Window:
    """Return the window of a call in the graph, of a layer or else a function; ValueError if it is not known."""
    window = _of_function(node) if layer is None else _of_layer(layer)
    if window is None:
        name = getattr(node.target, "__name__", node.target) if layer is None else type(layer).__name__
        raise ValueError(f"{name} may look at the whole image")
    return window


def _of_layer(layer: nn.Module) -> Window | None:
    if isinstance(layer, BlurUp):
        return Window(4, padding=1, up=2)
    if isinstance(layer, BlurDown):
        return Window(3, stride=2, padding=1)
    if isinstance(layer, nn.Conv2d) and not isinstance(layer.padding, str) and layer.padding_mode != "circular":
        return Window((layer.kernel_size[0] - 1) * layer.dilation[0] + 1, layer.stride[0], layer.padding[0])
    if isinstance(layer, nn.ConvTranspose2d) and layer.dilation == (1, 1) and layer.stride[0] > 1:
        padding, output_padding = int(layer.padding[0]), int(layer.output_padding[0])
        return Window(layer.kernel_size[0], padding=padding, up=layer.stride[0], output_padding=output_padding)
    if isinstance(layer, nn.ReflectionPad2d) and len(set(layer.padding)) == 1:
        return Window(padding=layer.padding[0])
    if isinstance(layer, nn.PixelShuffle):
        return Window(layer.upscale_factor, up=layer.upscale_factor)
    if isinstance(layer, nn.Upsample) and layer.mode == "nearest" and layer.scale_factor == 2:
        return Window(2, up=2)
    return Window() if type(layer) in POINTWISE or needs_statistics(layer) else None


def _of_function(node: fx.Node) -> Window | None:
    if node.target is functional.interpolate:
        doubles = node.kwargs.get("scale_factor") == 2 and node.kwargs.get("mode") == "nearest"
        return Window(2, up=2) if doubles else None
    if node.target is operator.getitem:  # of several maps, or of the channels of one
        return Window() if isinstance(node.args[1], int) or len(node.args[1]) == 2 else None  # type: ignore[arg-type]
    if node.target in DIM:
        dim = node.kwargs.get("dim", (*node.args, 0, 0)[DIM[node.target]])
        return Window() if dim == 1 else None
    return Window() if node.target in POINTWISE else None


def needs_statistics(layer: nn.Module | None) -> bool:
    """Whether a layer normalises by the statistics of the whole image."""
    if isinstance(layer, BatchNorm):
        return layer.inference == "image"
    return isinstance(layer, InstanceNorm | nn.InstanceNorm2d | nn.GroupNorm)


def merged(total: Tensor, values: Tensor) -> Tensor:
    """Return number, mean and variance of pixels, (3, C), with those of (B, C, h, W) added (Chan et al., 1983)."""
    var, mean = (one.cpu().double() for one in torch.var_mean(values, (0, 2, 3), correction=0))
    number = total[0] + values.numel() / values.shape[1]
    share = 1 - total[0] / number
    apart = mean - total[1]
    return torch.stack([number, total[1] + share * apart, total[2] + share * (var - total[2] + (1 - share) * apart**2)])


def normalised(x: Tensor, norm: Any, moments: Moments) -> Tensor:
    """Return what a normalisation makes of x with these statistics instead of its own."""
    return functional.batch_norm(x, *_by_channel(norm, *moments), norm.weight, norm.bias, eps=norm.eps)


def frozen(net: Generator, statistics: dict[str, Moments]) -> Generator:
    """Return a copy of a generator that normalises every image by these statistics instead of its own."""
    net = copy.deepcopy(net)
    for name, moments in statistics.items():
        old: Any = net.get_submodule(name)
        new = nn.BatchNorm2d(len(moments[0]), old.eps, affine=old.weight is not None, device=moments[0].device)
        running = dict(zip(("running_mean", "running_var"), _by_channel(old, *moments), strict=True))
        new.load_state_dict({**old.state_dict(), **running}, strict=False)
        net.set_submodule(name, new.eval().requires_grad_(False))
    return net


def _by_channel(norm: nn.Module, mean: Tensor, var: Tensor) -> Moments:
    """Return what a normalisation uses for each channel: the statistics of its group, if it has groups."""
    if not isinstance(norm, nn.GroupNorm):
        return mean, var
    each = len(mean) // norm.num_groups
    group_mean, square = ((one.view(-1, each).mean(1)) for one in (mean, var + mean**2))
    return group_mean.repeat_interleave(each), (square - group_mean**2).repeat_interleave(each)
