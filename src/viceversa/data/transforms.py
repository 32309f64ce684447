"""From samples to what networks see: reading, resizing, cropping, flipping, and the changes of `data.augment`.

All chance comes from the generator that is handed in. There is one draw for all images of a call, so that what lay on
the same spot in a pair still does. torchvision carries out the augmentations; it takes seconds to import, so only those
who augment do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from viceversa.config import AugmentConfig, ConfigError, DataConfig
from viceversa.data.datasets import Sample, open_each
from viceversa.data.image_data import ImageData, ImageError, Pixels, resize, with_channels, with_depth


def read_each(samples: Sequence[Sample], domains: str, data: DataConfig) -> tuple[list[Pixels], dict[str, str]]:
    """Read samples of the domains "A", "B" or "AB" as (H, W, C); return the sound ones, and why others are broken."""
    images, broken = [], {}
    for sample, domain, image in zip(samples, domains, open_each(samples), strict=True):
        pixels = image if isinstance(image, ImageError) else converted(image, sample, domain, data)
        if isinstance(pixels, ImageError):
            broken[str(sample)] = str(pixels)
        else:
            images.append(pixels)
    return images, broken


def converted(image: ImageData, sample: Sample, domain: str, data: DataConfig) -> Pixels | ImageError:
    """Return an image at the scale and with the channels that training asks for, or the error if it does not fit."""
    key = "data.scale"
    try:
        if data.scale != "auto":
            image = with_depth(image, int(data.scale.removesuffix("bit")))
        key = f"data.channels_{domain.lower()}"
        return with_channels(image, data.channels_a if domain == "A" else data.channels_b)
    except ImageError as error:
        return ImageError(f"{sample}: {error} ({key})")


def augment(images: Sequence[Pixels], data: DataConfig, rng: np.random.Generator, domains: str = "AB") -> list[Pixels]:
    """Resize (all to the size of the first), crop at random to (crop, crop, C), flip, change as `data.augment` says."""
    down, right, mirror = rng.random(3)  # always three, or the order of later draws would depend on the options
    strength = data.augment
    seed = int(rng.integers(2**62))
    whole = fitted(images, data)
    height, width, _ = whole[0].shape
    top = int(down * (height - data.crop + 1))
    left = int(right * (width - data.crop + 1))
    if strength.rotate or strength.scale:
        whole = [_warped(image, strength, seed) for image in whole]
    crops = [image[top : top + data.crop, left : left + data.crop] for image in whole]
    if data.flip and mirror < 0.5:
        crops = [crop[:, ::-1] for crop in crops]
    if strength.color or strength.hue:
        recolored = ("A", "B") if strength.color_of == "both" else (strength.color_of,)
        pairs = zip(crops, domains, strict=False)
        crops = [_recolored(crop, strength, seed + 1) if domain in recolored else crop for crop, domain in pairs]
    return [_blanked(crop, strength.cutout, seed + 2) for crop in crops] if strength.cutout else crops


def _warped(image: Pixels, strength: AugmentConfig, seed: int) -> Pixels:
    """Return (H, W, C) turned and scaled about its middle, in the same size; mirrored beyond its edges."""
    from torchvision.transforms import v2

    height, width = image.shape[:2]
    angle = math.radians(min(strength.rotate, 90))
    reach = math.hypot(height, width) if angle else max(height, width)  # of what may be seen, in any direction
    top, left = (math.ceil((reach / (1 - strength.scale) - side) / 2) + 2 for side in (height, width))
    padded = np.pad(image, ((top, top), (left, left), (0, 0)), mode="symmetric")
    scales = (1 - strength.scale, 1 + strength.scale)
    turn = v2.RandomAffine(strength.rotate, scale=scales, interpolation=v2.InterpolationMode.BILINEAR)
    return _apply(turn, padded, seed)[top : top + height, left : left + width]


def _recolored(image: Pixels, strength: AugmentConfig, seed: int) -> Pixels:
    """Return (H, W, 1, 3 or 4) with other brightness, contrast, saturation and hue; alpha stays."""
    from torchvision.transforms import v2

    jitter = v2.ColorJitter(strength.color, strength.color, strength.color, strength.hue)
    return np.concatenate([_apply(jitter, image[:, :, :3], seed), image[:, :, 3:]], axis=2)


def _blanked(image: Pixels, share: float, seed: int) -> Pixels:
    """Return (H, W, C) with a gray square of at most that share of its side, which lies wholly inside."""
    from torchvision.transforms import v2

    gray = 128 if image.dtype == np.uint8 else 0.5
    return _apply(v2.RandomErasing(p=1, scale=(0, share**2), ratio=(1, 1), value=gray), image, seed)


def _apply(transform: Callable[[Tensor], Tensor], image: Pixels, seed: int) -> Pixels:
    """Apply a transform of torchvision, which draws from torch's generator, with random numbers that follow `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        planes = transform(torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1))
    pixels: Pixels = planes.permute(1, 2, 0).numpy()
    return pixels


def check_augment(strength: AugmentConfig, paired: bool, channels: tuple[int, int]) -> None:
    """Raise ConfigError, with the remedy, for what would do harm or cannot be done."""
    if not (strength.color or strength.hue):
        return
    if paired and strength.color_of == "both":
        raise ConfigError(
            "data.augment: color and hue would make the true answer of a pair wrong; name the domain that is only "
            "translated from: data.augment.color_of=A"
        )
    for domain, count in zip("AB", channels, strict=True):
        if strength.color_of in ("both", domain) and count not in (1, 3, 4):
            raise ConfigError(f"data.augment: color and hue are for 1, 3 or 4 channels; domain {domain} has {count}")


def fitted(images: Sequence[Pixels], data: DataConfig) -> list[Pixels]:
    """Return training images as they are before anything is left to chance: resized, all to the size of the first."""
    size = _target(images[0], data)
    return [resize(image, size) for image in images]


def prepared(images: Sequence[Pixels], data: DataConfig) -> list[Pixels]:
    """Return test images of (crop, crop, C), without chance: stretched, or the centre, all at the size of the first."""
    if data.resize == "stretch":
        return [resize(image, (data.crop, data.crop)) for image in images]
    height, width = short_side(images[0], data.crop)
    top, left = (height - data.crop) // 2, (width - data.crop) // 2
    alike = [resize(image, images[0].shape[:2]) for image in images]
    return [resize(image, (height, width))[top : top + data.crop, left : left + data.crop] for image in alike]


def _target(image: Pixels, data: DataConfig) -> tuple[int, int]:
    """Return the size to bring an image to before the crop; it is never smaller than the crop."""
    if data.resize == "stretch":
        return data.load, data.load
    if data.resize == "short_side":
        return short_side(image, data.load)
    height, width, _ = image.shape
    return (height, width) if min(height, width) >= data.crop else short_side(image, data.crop)


def short_side(image: Pixels, side: int) -> tuple[int, int]:
    """Return the height and width of an image that is scaled to `side` pixels at its short side."""
    height, width, _ = image.shape
    scale = side / min(height, width)
    return round(height * scale), round(width * scale)
