"""Layers in the form that a CPU computes fastest, in place of torch's own; no network knows of them."""

from __future__ import annotations

import ctypes
import sys

from torch import nn

from viceversa.fast_cpu import layers as fast
from viceversa.nets.base import Generator
from viceversa.nets.blocks import BlurDown, BlurUp

__all__ = ["accelerate", "keep_memory"]

FAST: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: fast.FastConv2d,
    nn.ConvTranspose2d: fast.FastConvTranspose2d,
    BlurDown: fast.FastBlurDown,
    BlurUp: fast.FastBlurUp,
}
MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h


def accelerate(net: nn.Module) -> None:
    """Change layers of a network, in place, to forms that compute the same sooner on a CPU.

    Parameters, names and buffers stay as they are: a layer only changes its class. Layers that are not exactly torch's
    own, such as those with a parametrized weight (spectral norm), stay. On other devices the new classes compute as the
    old ones.
    """
    in_generators = {layer for part in net.modules() if isinstance(part, Generator) for layer in part.modules()}
    for layer in net.modules():
        if type(layer) in FAST and (not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) or _is_plain(layer)):
            layer.__class__ = FAST[type(layer)]
        if isinstance(layer, fast.FastConv2d | fast.FastConvTranspose2d):
            layer.in_generator = layer in in_generators


def _is_plain(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Whether a convolution is square, pads its input itself, and is neither grouped nor dilated."""
    sizes = layer.kernel_size, layer.stride, layer.padding
    square = all(isinstance(size, tuple) and size[0] == size[1] for size in sizes)
    return square and layer.padding_mode != "circular" and layer.groups == 1 and layer.dilation == (1, 1)


def keep_memory() -> None:
    """Have the C library keep freed memory, instead of fetching large tensors from the system page by page each time.

    Only glibc, as most Linux systems have it, can be told; elsewhere nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, 2**30)
        mallopt(TRIM_THRESHOLD, 2**31 - 1)
