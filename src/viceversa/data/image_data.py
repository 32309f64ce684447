"""Decoded images: what they hold, their channels, sizes and colours, and the way to tensors and PIL images.

Pixels are numpy arrays (height, width, channels), uint8, or float32 in [0, 1] where the source has more than 8 bits;
tensors are (channels, height, width), float32 in [-1, 1].
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms
from torch import Tensor

Pixels: TypeAlias = NDArray[Any]  # uint8, or float32 in [0, 1]


class ImageError(ValueError):
    """An image that cannot be used; the message is one line that names the file and what is wrong."""


@dataclass(frozen=True)
class ImageData:
    """A decoded image. `pixels`: (H, W, C) uint8, or float32 in [0, 1]; `alpha`: (H, W) uint8, 0 transparent."""

    pixels: Pixels
    alpha: NDArray[np.uint8] | None = None
    gray: bool = False
    """The source had no colour."""
    depth: int = 0
    """Bits of the integers that float pixels were made of; 0 if they were floats, or had no known range."""
    stretched: bool = False
    """The numbers had no known range, and were stretched from the least to the greatest."""


def turned(image: ImageData, orientation: int) -> ImageData:
    """Return an image upright that is stored as EXIF's `orientation`, 1 to 8, says."""

    def turn(pixels: Pixels) -> Pixels:
        if orientation in (5, 6, 7, 8):  # stored sideways
            pixels = pixels.swapaxes(0, 1)
        if orientation in (3, 4, 7, 8):
            pixels = pixels[::-1]
        if orientation in (2, 3, 6, 7):
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(pixels)

    alpha = None if image.alpha is None else turn(image.alpha)
    return replace(image, pixels=turn(image.pixels), alpha=alpha)


def unit_gray(values: NDArray[Any]) -> ImageData:
    """Bring deep gray values (H, W) into [0, 1].

    Integers are 16 bit; floats are taken as they are, or, if they are whole numbers, as 8 or 16 bit. Whatever fits none
    of these, such as negative numbers, has an unknown range, and is stretched from its least to its greatest value.
    """
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise ImageError("holds values that are not finite numbers")
    if values.dtype == np.int8 and low >= 0:
        return ImageData(values.astype(np.uint8)[:, :, None], None, True)
    whole = values.dtype.kind in "iu"
    tops = [65535] if whole else [1, 255, 65535] if (values == np.rint(values)).all() else [1]
    top = next((top for top in tops if low >= 0 and high <= top), None)
    scaled = (values - np.float64(low)) / max(high - low, 1e-12) if top is None else values / np.float64(top)
    pixels = scaled.astype(np.float32)[:, :, None]
    return ImageData(pixels, None, True, 16 if whole and top else 0, stretched=top is None)


def with_depth(image: ImageData, bits: int) -> ImageData:
    """Return an image of 16-bit integers scaled to the `bits` that are used; ImageError if it holds greater numbers."""
    if image.depth != 16 or bits == 16:
        return image
    values = np.rint(image.pixels.astype(np.float64) * 65535)
    top = 2**bits - 1
    if values.max() > top:
        raise ImageError(f"holds {values.max():.0f}, more than {bits} bits can")
    return replace(image, pixels=(values / top).astype(np.float32), depth=bits)


def in_16_bits(image: ImageData) -> ImageData:
    """Return an image of fewer bits as the 16-bit file that it came from; leave any other as it is."""
    if image.depth in (0, 16):
        return image
    return replace(image, pixels=image.pixels * np.float32((2**image.depth - 1) / 65535), depth=16)


def with_channels(image: ImageData, channels: int) -> Pixels:
    """Return (H, W, channels): 1 luminance, 3 RGB, 4 RGB and alpha; with 1 and 3, what is transparent turns white.

    An image of any other number of channels is only read as what it is. Raises ImageError for what does not fit.
    """
    pixels, alpha = image.pixels, image.alpha
    has = pixels.shape[2] + (alpha is not None)
    if alpha is None and has == channels:
        return pixels
    if channels not in (1, 3, 4) or pixels.shape[2] not in (1, 3):
        possible = "1, 3 and 4 are possible" if pixels.shape[2] in (1, 3) else f"only as {has}"
        raise ImageError(f"a picture of {has} channels cannot be read as {channels}; {possible}")
    if channels == 4:
        color = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
        return joined(color, np.full(pixels.shape[:2], 255, np.uint8) if alpha is None else alpha)
    if alpha is not None:
        pixels = on_white(pixels, alpha)
    if channels == 1:
        return luminance(pixels)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def on_white(pixels: Pixels, alpha: NDArray[np.uint8]) -> Pixels:
    """Return (H, W, C) as it looks on white paper; `alpha` (H, W) is 0 where it is transparent."""
    white = 255.0 if pixels.dtype == np.uint8 else 1.0
    blend: Pixels = white + (pixels - np.float32(white)) * (alpha[:, :, None] / np.float32(255))
    return np.rint(blend).astype(np.uint8) if pixels.dtype == np.uint8 else blend


def off_white(pixels: Pixels, alpha: NDArray[np.uint8]) -> Pixels:
    """Undo the blending of pixels (H, W, C) with white, so that edges show no white rim on other grounds."""
    share = np.maximum(alpha, 1)[:, :, None] / np.float32(255)
    white = np.float32(255 if pixels.dtype == np.uint8 else 1)
    result: Pixels = (white - (white - pixels) / share).clip(0, white)
    return np.rint(result).astype(np.uint8) if pixels.dtype == np.uint8 else result


def joined(pixels: Pixels, alpha: NDArray[np.uint8]) -> Pixels:
    """Return pixels (H, W, C) with their alpha (H, W) as one channel more, in the same numbers."""
    top = {"u1": 255, "u2": 65535}.get(pixels.dtype.str[1:], 1)
    return np.dstack([pixels, np.multiply(alpha, top / 255).astype(pixels.dtype)])


def luminance(pixels: Pixels) -> Pixels:
    """Return (H, W, 1): the brightness of RGB pixels as Pillow's mode L has it; gray ones stay as they are."""
    if pixels.shape[2] == 1:
        return pixels
    weighed: Pixels
    if pixels.dtype == np.uint8:  # Pillow's own fixed-point weights
        weighed = ((pixels @ np.array([[19595], [38470], [7471]]) + 0x8000) >> 16).astype(np.uint8)
    else:
        weighed = pixels @ np.array([[0.299], [0.587], [0.114]], np.float32)
    return weighed


def resize(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Return the image at `size` (height, width): bicubic, antialiased when it shrinks, in the range it had."""
    height, width = size
    if pixels.shape[:2] == (height, width):
        return pixels
    if pixels.dtype == np.uint8 and pixels.shape[2] in (3, 4):  # Pillow weighs RGBA's colours by their alpha
        return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))
    planes = [Image.fromarray(pixels[:, :, i]) for i in range(pixels.shape[2])]  # mode L, or F for floats
    result = np.stack([np.asarray(p.resize((width, height), Image.Resampling.BICUBIC)) for p in planes], axis=2)
    return result if result.dtype == np.uint8 else result.clip(0, 1)


def to_tensor(pixels: Pixels) -> Tensor:
    """Turn pixels (H, W, C) into a float32 tensor (C, H, W) in [-1, 1]."""
    planes = np.array(pixels.transpose(2, 0, 1), np.float32, order="C")
    planes /= np.float32(127.5 if pixels.dtype == np.uint8 else 0.5)  # in place, as images may be large
    planes -= np.float32(1)
    return torch.from_numpy(planes)


def normalise(batch: Tensor) -> Tensor:
    """Return what networks see: of uint8, float32 in [-1, 1], exactly as `to_tensor` would; floats as they are."""
    return batch.float() / 127.5 - 1 if batch.dtype == torch.uint8 else batch


def from_tensor(tensor: Tensor, unrounded: bool = False) -> Pixels:
    """Turn a tensor (C, H, W) in [-1, 1] into pixels (H, W, C): nearest uint8, or `unrounded` float32 in [0, 1]."""
    values = tensor.detach().to("cpu", torch.float32).clamp(-1, 1).add_(1).permute(1, 2, 0)
    values = values.div_(2) if unrounded else values.mul_(127.5).round_().to(torch.uint8)
    return np.ascontiguousarray(values.numpy())


def eight_bits(pixels: Pixels) -> NDArray[np.uint8]:
    """Return uint8 pixels as they are, and round floats in [0, 1]."""
    return pixels if pixels.dtype == np.uint8 else np.rint(pixels.clip(0, 1) * 255).astype(np.uint8)


def pil_image(pixels: NDArray[np.uint8]) -> Image.Image:
    """Return uint8 pixels (H, W) or (H, W, 1, 3 or 4) as a PIL image; raise ValueError for anything else."""
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (1,), (3,), (4,)):
        kind = f"{pixels.dtype} {pixels.shape}"
        raise ValueError(f"a picture is uint8 (height, width, 1, 3 or 4), this is {kind}; scale it to 0..255")
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels)


def to_pil(image: ImageData) -> Image.Image:
    """Return an image as a PIL image of 8 bits, with its alpha."""
    result = pil_image(eight_bits(image.pixels))
    if image.alpha is not None:
        result.putalpha(pil_image(image.alpha))
    return result


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert an L, RGB or CMYK image to sRGB (L stays L); without a profile that works it counts as sRGB."""
    transform = _transform(profile, image.mode) if profile else None
    if transform is None:
        return image.convert("RGB") if image.mode == "CMYK" else image
    result = ImageCms.applyTransform(image, transform)
    assert result is not None  # None is for inPlace=True
    return result.getchannel(0) if image.mode == "L" else result


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the way from a colour profile to sRGB, or None if it is sRGB already or broken."""
    try:
        source = ImageCms.getOpenProfile(BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
