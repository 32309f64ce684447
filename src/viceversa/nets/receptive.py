"""How far a discriminator sees, read off its own convolutions."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from .layers import BlurDown


def _windows(net: nn.Module) -> Iterator[tuple[int, int, int]]:
    """Yield (kernel, stride, padding) of every layer that looks at neighbours, in order of execution."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            assert isinstance(layer.padding, tuple)
            yield layer.kernel_size[0], layer.stride[0], layer.padding[0]
        elif isinstance(layer, BlurDown):
            yield layer.kernel_size, layer.stride, layer.padding


def receptive_field(net: nn.Module) -> int:
    """Return the side, in pixels, of the patch that one output value depends on, normalisation aside.

    For networks whose layers run one after the other in the order of their registration, as all discriminators do.
    """
    side, jump = 1, 1
    for kernel, stride, _ in _windows(net):
        side += (kernel - 1) * jump
        jump *= stride
    return side


def output_size(net: nn.Module, size: int) -> int:
    """Return the side of the output for an image of `size` pixels; ValueError if the image is too small."""
    side = size
    for kernel, stride, padding in _windows(net):
        side = (side + 2 * padding - kernel) // stride + 1
        if side < 1:
            raise ValueError(f"an image of {size} px is too small for this {type(net).__name__}; use fewer layers")
    return side
