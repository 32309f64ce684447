"""Decoded pictures as PIL images and arrays, and back."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from viceversa.data.decode import Picture, Pixels, picture_of

Shown: TypeAlias = Image.Image | NDArray[np.uint8] | Picture


def as_picture(image: Shown) -> Picture:
    """Return what can be translated as a decoded picture; ValueError for arrays that are no pictures."""
    if isinstance(image, Picture):
        return image
    return picture_of(image if isinstance(image, Image.Image) else as_image(image))


def as_pil(picture: Picture) -> Image.Image:
    """Return a picture as a PIL image of 8 bits, with its alpha."""
    image = as_image(eight_bits(picture.pixels))
    if picture.alpha is not None:
        image.putalpha(as_image(picture.alpha))
    return image


def as_image(pixels: NDArray[np.uint8]) -> Image.Image:
    """Return uint8 pixels (H, W) or (H, W, 1, 3 or 4) as a PIL image; raise ValueError for anything else."""
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (1,), (3,), (4,)):
        kind = f"{pixels.dtype} {pixels.shape}"
        raise ValueError(f"a picture is uint8 (height, width, 1, 3 or 4), this is {kind}; scale it to 0..255")
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels)


def eight_bits(pixels: Pixels) -> NDArray[np.uint8]:
    """Return uint8 pixels as they are, and round floats in [0, 1]."""
    return pixels if pixels.dtype == np.uint8 else np.rint(pixels.clip(0, 1) * 255).astype(np.uint8)


def off_white(pixels: Pixels, alpha: NDArray[np.uint8]) -> Pixels:
    """Undo the blending of pixels (H, W, C) with white, so that edges show no white rim on other grounds."""
    share = np.maximum(alpha, 1)[:, :, None] / np.float32(255)
    white = np.float32(255 if pixels.dtype == np.uint8 else 1)
    result: Pixels = (white - (white - pixels) / share).clip(0, white)
    return np.rint(result).astype(np.uint8) if pixels.dtype == np.uint8 else result
