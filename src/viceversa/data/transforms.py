"""Resizing, cropping and flipping: numpy in, numpy out; random numbers come from a generator that is handed in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viceversa.config import AugmentConfig, ConfigError, DataConfig
from viceversa.data.image_data import Pixels, resize


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


@dataclass(frozen=True)
class Changes:
    """What is done to the pictures of a draw; `chances` are nine numbers in [0, 1)."""

    strength: AugmentConfig
    chances: NDArray[np.float64]

    @classmethod
    def drawn(cls, strength: AugmentConfig, rng: np.random.Generator) -> Changes:
        """Draw always as much, so that one more change leaves the others as they were."""
        return cls(strength, rng.random(9))

    def warped(self, picture: Pixels) -> Pixels:
        """Return (H, W, C) turned and scaled about its middle, in the same size; mirrored beyond its edges."""
        angle = self._around_zero(0) * self.strength.rotate
        scale = 1 + self._around_zero(1) * self.strength.scale
        if angle == 0 and scale == 1:
            return picture
        height, width = picture.shape[:2]
        cos, sin = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
        seen = (height * cos + width * sin) / scale, (width * cos + height * sin) / scale
        top, left = (max(0, math.ceil((wide - side) / 2)) + 2 for wide, side in zip(seen, (height, width), strict=True))
        padded = np.pad(picture, ((top, top), (left, left), (0, 0)), mode="symmetric")
        torchvision = _torchvision()
        bilinear = torchvision.InterpolationMode.BILINEAR
        turned = torchvision.functional.affine(_planes(padded), angle, [0, 0], scale, [0.0, 0.0], bilinear)
        pixels: Pixels = _pixels(turned)[top : top + height, left : left + width]
        return pixels

    def recolored(self, picture: Pixels) -> Pixels:
        """Return (H, W, 1, 3 or 4) with other brightness, contrast, saturation and hue; alpha stays."""
        if not self.strength.recolors:
            return picture
        functional = _torchvision().functional
        planes: Tensor = _planes(picture[:, :, :3])
        brightness, contrast, saturation = (1 + self._around_zero(place) * self.strength.color for place in (2, 3, 4))
        if self.strength.color:
            planes = functional.adjust_contrast(functional.adjust_brightness(planes, brightness), contrast)
        if self.strength.color and planes.shape[0] == 3:
            planes = functional.adjust_saturation(planes, saturation)
        if self.strength.hue and planes.shape[0] == 3:
            planes = functional.adjust_hue(planes, self._around_zero(5) * self.strength.hue)
        pixels: Pixels = np.concatenate([_pixels(planes), picture[:, :, 3:]], axis=2)
        return pixels

    def blanked(self, picture: Pixels) -> Pixels:
        """Return (H, W, C) with a gray square, between none and the share asked for, that lies wholly inside."""
        if not self.strength.cutout:
            return picture
        height, width = picture.shape[:2]
        side = round(float(self.chances[6]) * self.strength.cutout * min(height, width))
        top, left = int(self.chances[7] * (height - side + 1)), int(self.chances[8] * (width - side + 1))
        result: Pixels = picture.copy()
        result[top : top + side, left : left + side] = 128 if picture.dtype == np.uint8 else 0.5
        return result

    def _around_zero(self, place: int) -> float:
        return 2 * float(self.chances[place]) - 1


def check(strength: AugmentConfig, paired: bool, channels: tuple[int, int]) -> None:
    """Raise ConfigError, with the remedy, for what would do harm or cannot be done."""
    if not strength.wanted:
        return
    _torchvision()
    if strength.recolors and paired and strength.color_of == "both":
        raise ConfigError(
            "data.augment: color and hue would make the true answer of a pair wrong; name the world that is only "
            "translated from: data.augment.color_of=A"
        )
    for world, count in zip("AB", channels, strict=True):
        if strength.recolors and strength.color_of in ("both", world) and count not in (1, 3, 4):
            raise ConfigError(f"data.augment: color and hue are for 1, 3 or 4 channels; world {world} has {count}")


def _torchvision() -> ModuleType:
    try:
        from torchvision.transforms import v2
    except ImportError:
        raise ConfigError('data.augment needs torchvision; pip install "viceversa[augment]"') from None
    module: ModuleType = v2
    return module


def _planes(picture: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)


def _pixels(planes: Tensor) -> Pixels:
    pixels: Pixels = planes.permute(1, 2, 0).numpy()
    return pixels
