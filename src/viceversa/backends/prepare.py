"""From what Python programs hold (PIL images, arrays, tensors) to what a network takes, and back.

In between are sides that the network can halve, its numbers, and transparency.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from viceversa.data.deep import from_array
from viceversa.data.image_data import (
    ImageData,
    ImageError,
    Pixels,
    eight_bits,
    from_tensor,
    in_16_bits,
    joined,
    off_white,
    resize,
    to_pil,
    to_tensor,
)
from viceversa.data.image_io import from_pil
from viceversa.devices import layout_of
from viceversa.nets import Generator
from viceversa.nets.weights import Card

SMALLEST = 32  # pixels of a side that the networks see, so that they have something to halve and to mirror

Picture: TypeAlias = Image.Image | NDArray[Any] | Tensor | ImageData
"""PIL; an array (H, W) or (H, W, C) or a tensor (C, H, W), uint8, uint16 or floats in [0, 1]; or our own form."""
Kind = TypeVar("Kind", bound=Picture)


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


def to_image_data(image: Picture) -> ImageData:
    """Return an image in our own form; ValueError for arrays and tensors that are no images."""
    if isinstance(image, ImageData):
        return image
    if isinstance(image, Image.Image):
        return from_pil(image)
    if isinstance(image, Tensor):
        if image.ndim != 3:
            raise ValueError(f"a tensor of an image is (channels, height, width), this is {tuple(image.shape)}")
        image = image.detach().cpu().permute(1, 2, 0)
        image = (image.float() if image.is_floating_point() else image).numpy()
    if image.ndim == 3 and image.shape[2] == 4:
        return from_array(image[:, :, :3], image[:, :, 3])
    return from_array(image)


def like(result: ImageData, image: Kind) -> Kind:
    """Return a translation as the kind of thing that its input was: type, numbers, order of dimensions, device."""
    made: Any = result
    if isinstance(image, Image.Image):
        made = to_pil(result)
    elif isinstance(image, Tensor):
        numbers = image.numpy(force=True).dtype if image.dtype != torch.bfloat16 else np.dtype(np.float32)
        made = torch.from_numpy(_array(result, numbers)).permute(2, 0, 1).to(image)
    elif isinstance(image, np.ndarray):
        made = _array(result, image.dtype)
        made = made[:, :, 0] if image.ndim == 2 and made.shape[2] == 1 else made
    kind: Kind = made
    return kind


def _array(image: ImageData, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return (H, W, C) with its alpha, in numbers of this type."""
    pixels = in_16_bits(image).pixels
    if image.alpha is not None:
        pixels = joined(pixels, image.alpha)
    if dtype == np.uint8:
        return eight_bits(pixels)
    return np.rint(pixels * 65535).astype(dtype) if dtype == np.uint16 else pixels.astype(dtype)
