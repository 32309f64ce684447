"""Random changes beyond crop and flip, carried out by torchvision (extra `augment`).

All chance is drawn at once from the generator that is handed in. What a change does to a picture follows from the draw
alone, so both pictures of a pair are turned, scaled and blanked alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viceversa.config import AugmentConfig, ConfigError
from viceversa.data.decode import Pixels


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
