"""Convolutions and blurs in the form that a CPU computes fastest, in place of torch's own; no network knows of them.

Here stands which layers of a network get another form.
"""

from __future__ import annotations

from torch import nn

from viceversa.fast_cpu import convolutions as fast
from viceversa.fast_cpu.convolutions import fixed_weights
from viceversa.nets.base import Generator
from viceversa.nets.layers import BlurDown, BlurUp

__all__ = ["accelerate", "fixed_weights"]

BLURS: dict[type[nn.Module], type[nn.Module]] = {BlurDown: fast.FastBlurDown, BlurUp: fast.FastBlurUp}


def accelerate(net: nn.Module, *, low_precision: bool = False) -> None:
    """Change layers of a network, in place, to forms that compute the same sooner on a CPU.

    Parameters, names and buffers stay as they are: a layer only changes its class. Layers that are not exactly torch's
    own, such as those with a parametrized weight (spectral norm), stay. `low_precision` lets 3x3 convolutions round
    more in bfloat16, as a network may that only translates. On other devices the new classes compute as the old ones.
    """
    in_generators = {layer for part in net.modules() if isinstance(part, Generator) for layer in part.modules()}
    for layer in net.modules():
        form = fast_form(layer, in_generator=layer in in_generators)
        if form is not None:
            layer.__class__ = form
        if isinstance(layer, fast.WinogradConv2d):
            layer.low_precision = low_precision


def fast_form(layer: nn.Module, *, in_generator: bool) -> type[nn.Module] | None:
    """Return the class that computes a layer faster, or None."""
    if type(layer) in BLURS:
        return BLURS[type(layer)]
    if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) or not _is_plain(layer):
        return None
    side, stride, padding = layer.kernel_size[0], layer.stride[0], layer.padding[0]
    fewest = min(layer.in_channels, layer.out_channels)
    halves_or_doubles = (side, stride, padding) == (4, 2, 1) and layer.padding_mode == "zeros" and in_generator
    if type(layer) is nn.ConvTranspose2d:
        return fast.ProductConvTranspose2d if halves_or_doubles and layer.output_padding == (0, 0) else None
    if type(layer) is not nn.Conv2d:
        return None
    if (side, stride, padding) == (3, 1, 1) and fewest >= fast.WINOGRAD_CHANNELS:
        return fast.WinogradConv2d
    if stride == 1 and fewest <= fast.FEW_CHANNELS and (side >= 7 or (side > 1 and layer.out_channels == 1)):
        return fast.StackedConv2d
    return fast.ProductConv2d if halves_or_doubles else None  # discriminators do not go down to few pixels


def _is_plain(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Whether a convolution is square, pads its input itself, and is neither grouped nor dilated."""
    sizes = layer.kernel_size, layer.stride, layer.padding
    square = all(isinstance(size, tuple) and size[0] == size[1] for size in sizes)
    padded = layer.padding != (0, 0) and layer.padding_mode != "circular"
    return square and padded and layer.groups == 1 and layer.dilation == (1, 1)
