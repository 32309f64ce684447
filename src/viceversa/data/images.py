"""Finding, converting and writing pictures; reading them is `decode.open_picture`, which is passed on from here.

Pictures are numpy arrays (height, width, channels), uint8, or float32 in [0, 1] when the source has more than 8 bits;
tensors are (channels, height, width), float32 in [-1, 1].
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from viceversa.data import deep
from viceversa.data.decode import ImageError, Picture, Pixels, open_picture, picture_of
from viceversa.files import replacing

__all__ = [
    "EXTENSIONS",
    "ImageError",
    "Picture",
    "Pixels",
    "from_tensor",
    "list_files",
    "list_images",
    "luminance",
    "normalise",
    "on_white",
    "open_picture",
    "picture_of",
    "resize",
    "save_picture",
    "to_tensor",
    "with_channels",
]

log = logging.getLogger("viceversa")

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP", ".tif": "TIFF"}
FORMATS |= {".tiff": "TIFF", ".gif": "GIF", ".ppm": "PPM", ".pgm": "PPM"}
EXTENSIONS = frozenset(FORMATS) | {".npy"}
DIGITS = re.compile("([0-9]+)")
OPAQUE = frozenset({".jpg", ".jpeg", ".bmp", ".ppm", ".pgm"})  # formats without alpha


def list_images(folder: Path) -> list[Path]:
    """Return the pictures in a folder and its subfolders in natural order (2.png, 10.png), without hidden ones."""
    return [folder / name for name in list_files(folder)]


def list_files(folder: Path) -> list[str]:
    """Return the same as paths within the folder, with forward slashes; none if there is no such folder."""
    return list(_walk(folder, "", set())) if folder.is_dir() else []


def _walk(folder: Path | str, inside: str, seen: set[str]) -> Iterator[str]:
    real = os.path.realpath(folder)
    if real in seen:  # class folders may be links, and a link to a parent must not send us round in circles
        return
    seen.add(real)
    try:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".")]
    except PermissionError as error:
        log.warning("skipped: %s: %s", folder, error.strerror)
        return
    for entry in sorted(visible, key=lambda entry: natural_key(entry.name)):
        try:
            if entry.is_dir():
                yield from _walk(entry.path, f"{inside}{entry.name}/", seen)
            elif os.path.splitext(entry.name)[1].lower() in EXTENSIONS and entry.is_file():
                yield inside + entry.name
        except OSError:  # a link that leads to itself
            log.warning("skipped: %s: a link that leads nowhere", entry.path)


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Return a sort key that compares the numbers within names as numbers."""
    words: list[str | int] = [*DIGITS.split(name.casefold())]
    words[1::2] = map(int, words[1::2])
    return words, name


def with_channels(picture: Picture, channels: int) -> Pixels:
    """Return (H, W, channels): 1 luminance, 3 RGB, 4 RGB and alpha; with 1 and 3, what is transparent turns white.

    A picture of any other number of channels is only read as what it is. Raises ImageError for what does not fit.
    """
    pixels, alpha = picture.pixels, picture.alpha
    has = pixels.shape[2] + (alpha is not None)
    if alpha is None and has == channels:
        return pixels
    if channels not in (1, 3, 4) or pixels.shape[2] not in (1, 3):
        possible = "1, 3 and 4 are possible" if pixels.shape[2] in (1, 3) else f"only as {has}"
        raise ImageError(f"a picture of {has} channels cannot be read as {channels}; {possible}")
    if channels == 4:
        color = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
        opaque: Pixels = np.full(pixels.shape[:2], 255, np.uint8) if alpha is None else alpha
        if pixels.dtype != np.uint8:
            opaque = opaque.astype(np.float32) / 255
        return np.concatenate([color, opaque[:, :, None]], axis=2)
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
    """Return the picture at `size` (height, width): bicubic, antialiased when it shrinks, in the range it had."""
    height, width = size
    if pixels.shape[:2] == (height, width):
        return pixels
    if pixels.dtype == np.uint8 and pixels.shape[2] in (3, 4):  # Pillow weighs RGBA's colours by their alpha
        return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))
    planes = [Image.fromarray(pixels[:, :, i]) for i in range(pixels.shape[2])]  # mode L, or F for floats
    result = np.stack([np.asarray(p.resize((width, height), Image.Resampling.BICUBIC)) for p in planes], axis=2)
    return result if result.dtype == np.uint8 else result.clip(0, 1)


def to_tensor(pixels: Pixels) -> Tensor:
    """Turn a picture (H, W, C) into a float32 tensor (C, H, W) in [-1, 1]."""
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32)
    return torch.from_numpy(planes / np.float32(127.5 if pixels.dtype == np.uint8 else 0.5) - np.float32(1))


def normalise(batch: Tensor) -> Tensor:
    """Return what networks see: of uint8, float32 in [-1, 1], exactly as `to_tensor` would; floats as they are."""
    return batch.float() / 127.5 - 1 if batch.dtype == torch.uint8 else batch


def from_tensor(tensor: Tensor, unrounded: bool = False) -> Pixels:
    """Turn a tensor (C, H, W) in [-1, 1] into a picture (H, W, C): clamped, and rounded to the nearest uint8.

    `unrounded`: nothing is rounded, and the picture is float32 in [0, 1].
    """
    values = tensor.detach().to("cpu", torch.float32).clamp(-1, 1).add(1).permute(1, 2, 0)
    values = values.div(2) if unrounded else values.mul(127.5).round().to(torch.uint8)
    return np.ascontiguousarray(values.numpy())


def save_picture(path: Path | str, pixels: Pixels, alpha: NDArray[np.uint8] | None = None, gray: bool = False) -> None:
    """Write (H, W, C) in the format of the suffix, with `alpha` (H, W) if the format can hold it.

    `gray` writes one channel. Floats in [0, 1] are written with 16 bits where format and installed packages can, else
    with 8; in .npy as they are. The file appears at once and whole, in folders made as needed. Raises ImageError for an
    unknown suffix, and for channels that do not fit into the format.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in EXTENSIONS:
        raise ImageError(f"{path}: cannot write this format; use one of {' '.join(sorted(EXTENSIONS))}")
    if alpha is None and pixels.shape[2] == 4 and pixels.dtype == np.uint8:
        pixels, alpha = pixels[:, :, :3], pixels[:, :, 3]
    if alpha is not None and suffix in OPAQUE:
        pixels, alpha = on_white(pixels, alpha), None
    if (gray or suffix == ".pgm") and pixels.shape[2] == 3:
        pixels = luminance(pixels)
    known = pixels.shape[2] in (1, 3)
    lasting = pixels.dtype != np.uint8 and suffix in (".png", ".tif", ".tiff") and deep.can_write_colour()
    with replacing(path, durable=False) as partial:
        if suffix == ".npy" or not known or lasting:
            try:
                deep.write(partial, suffix, pixels, alpha)
            except ImageError as error:
                raise ImageError(f"{path}: {error}") from None
            return
        image = _as_image(pixels)
        if alpha is not None:
            image.putalpha(Image.fromarray(alpha))
        image.save(partial, format=FORMATS[suffix], quality=95)  # quality: of JPEG and WebP


def _as_image(pixels: Pixels) -> Image.Image:
    if pixels.dtype != np.uint8:
        pixels = np.rint(pixels.clip(0, 1) * 255).astype(np.uint8)
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
