"""Images that Pillow cannot hold: colour of 16 bits, any number of channels, numpy arrays.

TIFF is read and written by tifffile, 16-bit colour PNG by imagecodecs, .npy by numpy. Eight bits stay uint8, 16 bits
and floats become float32 in [0, 1].
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from viceversa.data.image_data import ImageData, ImageError, Pixels, joined, turned, unit_gray

CHANNELS_FIRST, CHANNELS_LAST = ("SYX", "CYX"), ("YXS", "YXC")  # as tifffile names the axes
LARGEST = 2**30
"""Numbers in an image: no memory is taken for more of them because a file says so. (Pillow has its own limit.)"""
ALPHA, ORIENTATION = (1, 2), 0x0112  # TIFF: what an extra sample can be, and a tag


def read_array(file: BinaryIO) -> ImageData:
    """Read a .npy file, (H, W) or (H, W, C); raise ImageError for anything else. Pickled objects are never loaded."""
    return from_array(np.load(file, allow_pickle=False))


def read_png(file: BinaryIO) -> ImageData:
    """Read a PNG file of 16 bits a channel."""
    from imagecodecs import png_decode

    values: NDArray[Any] = png_decode(file.read())
    if values.ndim == 3 and values.shape[2] in (2, 4):
        return from_array(values[:, :, :-1], values[:, :, -1])
    return from_array(values)


def read_tiff(file: BinaryIO) -> ImageData:
    """Read the first image of a TIFF file upright, with all its channels; raise ImageError for other stacks."""
    from tifffile import TiffFile

    with TiffFile(file) as tiff:
        page = tiff.series[0].keyframe
        stored = tiff.series[0] if tiff.series[0].axes in CHANNELS_FIRST else page
        if stored.size > LARGEST:
            raise ImageError(f"says that it holds {stored.size} numbers, which are taken for damage")
        values, axes, extra = stored.asarray(), stored.axes, tuple(page.extrasamples)
        orientation = page.tags.valueof(ORIENTATION, default=1)
    if axes in CHANNELS_FIRST:
        values = np.moveaxis(values, 0, 2)
    elif axes not in (*CHANNELS_LAST, "YX"):
        raise ImageError(f"holds a stack of the axes {axes}; one picture of several channels is expected")
    if axes == "YX" and values.dtype != np.uint8:
        return turned(unit_gray(values), orientation)
    with_alpha = bool(extra) and extra[-1] in ALPHA and values.shape[2] in (2, 4)
    image = from_array(values[:, :, :-1], values[:, :, -1]) if with_alpha else from_array(values)
    return turned(image, orientation)


def write(
    path: Path,
    suffix: str,
    pixels: Pixels,
    alpha: NDArray[np.uint8] | None,
    exif: bytes = b"",
    icc_profile: bytes = b"",
) -> None:
    """Write pixels of any number of channels, floats as 16 bits but in .npy; ImageError for what does not fit."""
    if suffix != ".npy" and pixels.dtype != np.uint8:
        pixels = np.rint(pixels.clip(0, 1) * 65535).astype(np.uint16)
    channels = pixels.shape[2]
    if alpha is not None:
        pixels = joined(pixels, alpha)
    if suffix == ".npy":
        with path.open("wb") as file:
            np.save(file, pixels)
        return
    values = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    if suffix == ".png" and channels in (1, 3):
        from imagecodecs import png_encode

        content = png_encode(np.ascontiguousarray(values))
        end = 33  # of the signature and the header, after which a profile and EXIF data may stand
        profile = _chunk(b"iCCP", b"ICC\0\0" + zlib.compress(icc_profile)) if icc_profile else b""
        more = _chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")) if exif else b""
        path.write_bytes(content[:end] + profile + more + content[end:])
        return
    if suffix not in (".tif", ".tiff"):
        raise ImageError(f"{channels} channels do not fit into {suffix}; name a .tiff or .npy file")
    colour = "rgb" if channels == 3 else "minisblack"
    extra = None if alpha is None else ["unassalpha"]

    from tifffile import imwrite

    tags = Image.Exif()
    tags.load(exif)
    texts = [(tag, "s", 0, value, True) for tag, value in tags.items() if isinstance(value, str)]
    imwrite(
        path,
        values,
        photometric=colour,
        planarconfig="contig",
        compression="zlib",
        extrasamples=extra,
        iccprofile=icc_profile or None,
        extratags=texts,
        metadata=None,
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def from_array(values: NDArray[Any], alpha: NDArray[Any] | None = None) -> ImageData:
    """Return (H, W) or (H, W, C), uint8, uint16 or floats in [0, 1], as an image; ImageError for anything else."""
    values = values[:, :, None] if values.ndim == 2 else values
    if values.ndim != 3 or 0 in values.shape:
        raise ImageError(f"has the shape {values.shape}; expected (height, width) or (height, width, channels)")
    pixels = _unit(values)
    if pixels.dtype == np.uint8 and pixels.shape[2] == 4:
        pixels = pixels.astype(np.float32) / 255  # bytes of four channels would be taken for RGB with alpha
    seen = None if alpha is None else np.rint(_unit(alpha) * (1 if alpha.dtype == np.uint8 else 255)).astype(np.uint8)
    depth = 16 if values.dtype == np.uint16 else 0
    return ImageData(np.ascontiguousarray(pixels), seen, pixels.shape[2] == 1, depth)


def _unit(values: NDArray[Any]) -> Pixels:
    """Return uint8 as it is, uint16 divided by 65535, floats in [0, 1]; ImageError for what has no known range."""
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.uint16:
        shares: Pixels = values.astype(np.float32) / np.float32(65535)
        return shares
    if values.dtype.kind != "f":
        raise ImageError(f"holds numbers of the type {values.dtype}; use uint8, uint16, or floats from 0 to 1")
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):
        raise ImageError(
            f"holds floats from {low:g} to {high:g}; bring them into 0 to 1, by the same rule in all files"
        )
    return values.astype(np.float32)
