"""Resizing, cropping and flipping: numpy in, numpy out; random numbers come from a generator that is handed in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from viceversa.config import DataConfig
from viceversa.data.augment import Changes
from viceversa.data.images import Pixels, resize


def augment(images: Sequence[Pixels], data: DataConfig, rng: np.random.Generator, worlds: str = "AB") -> list[Pixels]:
    """Resize, crop at random to (crop, crop, C), flip half of the time, and change further as `data.augment` says.

    There is one draw for all images, so that what lay on the same spot in a pair still does. If they differ in size
    and are not stretched, the others are first brought to the size of the first. `worlds` says which they are.
    """
    down, right, mirror = rng.random(3)  # always three, or the order of later draws would depend on the options
    whole = fitted(images, data)
    height, width, _ = whole[0].shape
    top = int(down * (height - data.crop + 1))
    left = int(right * (width - data.crop + 1))
    changes = Changes.drawn(data.augment, rng) if data.augment.wanted else None
    if changes:
        whole = [changes.warped(image) for image in whole]
    crops = [image[top : top + data.crop, left : left + data.crop] for image in whole]
    if data.flip and mirror < 0.5:
        crops = [crop[:, ::-1] for crop in crops]
    return crops if changes is None else _changed(crops, changes, worlds)


def _changed(crops: Sequence[Pixels], changes: Changes, worlds: str) -> list[Pixels]:
    """Change colours where that is wanted, then blank the same square in all."""
    recolored = [
        changes.recolored(crop) if changes.strength.color_of in ("both", world) else crop
        for crop, world in zip(crops, worlds, strict=False)
    ]
    return [changes.blanked(crop) for crop in recolored]


def fitted(images: Sequence[Pixels], data: DataConfig) -> list[Pixels]:
    """Return training pictures as they are before anything is left to chance: resized, all to the size of the first."""
    size = _target(images[0], data)
    return [resize(image, size) for image in images]


def prepared(images: Sequence[Pixels], data: DataConfig) -> list[Pixels]:
    """Return test pictures of (crop, crop, C), without chance; unless stretched, all have the size of the first."""
    if data.resize != "stretch":
        images = [resize(image, images[0].shape[:2]) for image in images]
    return [prepare(image, data) for image in images]


def prepare(image: Pixels, data: DataConfig) -> Pixels:
    """Return (crop, crop, C) without chance, for test pictures: stretched, or the centre of the scaled image."""
    if data.resize == "stretch":
        return resize(image, (data.crop, data.crop))
    height, width = _short_side(image, data.crop)
    top, left = (height - data.crop) // 2, (width - data.crop) // 2
    return resize(image, (height, width))[top : top + data.crop, left : left + data.crop]


def _target(image: Pixels, data: DataConfig) -> tuple[int, int]:
    """Return the size to bring an image to before the crop; it is never smaller than the crop."""
    if data.resize == "stretch":
        return data.load, data.load
    if data.resize == "short_side":
        return _short_side(image, data.load)
    height, width, _ = image.shape
    return (height, width) if min(height, width) >= data.crop else _short_side(image, data.crop)


def _short_side(image: Pixels, side: int) -> tuple[int, int]:
    height, width, _ = image.shape
    scale = side / min(height, width)
    return round(height * scale), round(width * scale)
