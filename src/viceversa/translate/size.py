"""Bringing a picture near the size that a network was trained at."""

from __future__ import annotations

import numpy as np

from viceversa.data.image_data import ImageData, resize, with_channels


def at_size(picture: ImageData, size: int | None) -> ImageData:
    """Return the picture with `size` pixels at its short side, antialiased; as it is for None."""
    if size is None:
        return picture
    height, width = picture.pixels.shape[:2]
    scale = size / min(height, width)
    shape = round(height * scale), round(width * scale)
    if picture.alpha is None:
        return ImageData(resize(picture.pixels, shape), None, picture.gray)
    small = resize(with_channels(picture, 4), shape)  # together, so that colours weigh as much as they are seen
    alpha = small[:, :, 3] if small.dtype == np.uint8 else np.rint(small[:, :, 3] * 255)
    return ImageData(small[:, :, :3], alpha.astype(np.uint8), picture.gray)
