"""What is kept of the input: where it is not masked, its colours, a share of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from viceversa.data.image_data import ImageData, Pixels, eight_bits, luminance, resize, with_channels
from viceversa.data.image_io import read_image


def blend(original: ImageData, translation: ImageData, weight: Pixels | float, match_color: bool = False) -> ImageData:
    """Return `original` where `weight`, (H, W, 1) or one for all, is 0 and `translation` where it is 1.

    With `match_color` the translation only changes how bright each pixel is: its colour stays that of the original.
    """
    before, after = (
        _unit(with_channels(replace(original, alpha=None), translation.pixels.shape[2])),
        _unit(translation.pixels),
    )
    if match_color:
        after = before + luminance(after) - luminance(before)
    pixels = (before + weight * (after - before)).clip(0, 1)
    return replace(translation, pixels=eight_bits(pixels) if translation.pixels.dtype == np.uint8 else pixels)


def read_mask(path: Path, size: tuple[int, int], feather: int) -> NDArray[np.float32]:
    """Return a mask as weights (H, W, 1) for an image of this size: 1 where it is white, 0 where it is black.

    It falls to 0 within `feather` pixels inside its edge, so that nothing outside of it changes. Transparent is black.
    Raises ImageError for a file that is not an image.
    """
    image = read_image(path)
    weight = _unit(with_channels(replace(image, alpha=None), 1))
    if image.alpha is not None:
        weight = weight * _unit(image.alpha[:, :, None])
    weight = resize(weight, size)
    if feather:
        blurred = Image.fromarray(eight_bits(weight)[:, :, 0]).filter(ImageFilter.GaussianBlur(feather / 2))
        weight = np.minimum(weight, (2 * _unit(np.asarray(blurred))[:, :, None] - 1).clip(0, 1))
    return weight.astype(np.float32)


def _unit(pixels: Pixels) -> NDArray[np.float32]:
    return pixels.astype(np.float32) / np.float32(255) if pixels.dtype == np.uint8 else pixels
