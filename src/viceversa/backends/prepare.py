"""Between an image and what a network takes and makes: sides that it can halve, numbers, and transparency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from viceversa.data.image_data import (
    ImageData,
    ImageError,
    Pixels,
    eight_bits,
    from_tensor,
    off_white,
    resize,
    to_tensor,
)
from viceversa.devices import layout_of
from viceversa.nets import Generator
from viceversa.nets.weights import Card

SMALLEST = 32  # pixels of a side that the networks see, so that they have something to halve and to mirror


@dataclass(frozen=True)
class PreparedImage:
    """An image, and what the network is given of it: a batch (1, in, H, W)."""

    image: ImageData
    x: Tensor


def to_input(pixels: Pixels, net: Generator, device: torch.device) -> Tensor:
    """Return pixels as a batch, still on the CPU, of a size that the network takes: its own, or mirrored outwards."""
    if net.size is not None:
        pixels = resize(pixels, (net.size, net.size))
    else:
        around = [margins(side, net.multiple) for side in pixels.shape[:2]]
        pixels = np.pad(pixels, (*around, (0, 0)), mode="reflect")
    return to_tensor(pixels)[None].contiguous(memory_format=layout_of(device))


def to_pixels(batch: Tensor, original: Pixels, net: Generator) -> Pixels:
    """Return what the network made of `original` at its size and depth; ImageError if it is not finite."""
    if not torch.isfinite(torch.stack(batch.aminmax())).all():  # of a large batch, isfinite would fill the memory
        raise ImageError("its translation is not finite (NaN or infinity); the weights are damaged or too large")
    unrounded = original.dtype != np.uint8
    height, width = original.shape[:2]
    if net.size is not None:
        return resize(from_tensor(batch[0], unrounded), (height, width))
    top, left = (margins(side, net.multiple)[0] for side in (height, width))
    return from_tensor(batch[0, :, top : top + height, left : left + width], unrounded)


def to_image(batch: Tensor, original: ImageData, net: Generator, card: Card) -> ImageData:
    """Return what the network made of `original`, as transparent as that was."""
    result, alpha = to_pixels(batch, original.pixels, net), original.alpha
    if card.out_channels == 4:
        return ImageData(result[:, :, :3], eight_bits(result[:, :, 3]), depth=original.depth)
    if alpha is not None and card.in_channels != 4:
        result = off_white(result, alpha)
    return ImageData(result, alpha, result.shape[2] == 1, original.depth)


def margins(length: int, multiple: int) -> tuple[int, int]:
    """Return how many pixels to add before and after, so that the length is a multiple, and not too small."""
    missing = max(SMALLEST, length) - length
    missing += -(length + missing) % multiple
    return missing // 2, missing - missing // 2
