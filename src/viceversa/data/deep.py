"""Pictures that Pillow cannot hold: colour of 16 bits, any number of channels, numpy arrays.

TIFF is read and written by tifffile, 16-bit colour PNG by imagecodecs (extra `data`), .npy by numpy. Eight bits stay
uint8, 16 bits and floats become float32 in [0, 1].
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from viceversa.data.image_data import ImageData, ImageError, Pixels, turned

CHANNELS_FIRST, CHANNELS_LAST = ("SYX", "CYX"), ("YXS", "YXC")  # as tifffile names the axes
LARGEST = 2**30
"""Numbers in a picture: no memory is taken for more of them because a file says so. (Pillow minds its own pictures.)"""
ALPHA = (1, 2)  # TIFF: what an extra sample can be
ORIENTATION = 0x0112


def read_array(path: Path) -> ImageData:
    """Read a .npy file, (H, W) or (H, W, C); raise ImageError for anything else. Pickled objects are never loaded."""
    values = np.load(path, mmap_mode="r", allow_pickle=False)
    return _picture(np.asarray(values), None)


def read_png(path: Path) -> ImageData:
    """Read a PNG file of 16 bits a channel."""
    values: NDArray[Any] = _imagecodecs().png_decode(path.read_bytes())
    if values.ndim == 3 and values.shape[2] in (2, 4):
        return _picture(values[:, :, :-1], values[:, :, -1])
    return _picture(values, None)


def read_tiff(path: Path) -> ImageData:
    """Read the first picture of a TIFF file upright, with all its channels; raise ImageError for other stacks."""
    with _tifffile().TiffFile(path) as file:
        series = file.series[0]
        if series.size > LARGEST:
            raise ImageError(f"says that it holds {series.size} numbers, which are taken for damage")
        values = series.asarray()
        extra = tuple(series.keyframe.extrasamples)
        orientation = series.keyframe.tags.valueof(ORIENTATION, default=1)
    if series.axes in CHANNELS_FIRST:
        values = np.moveaxis(values, 0, 2)
    elif series.axes not in (*CHANNELS_LAST, "YX"):
        raise ImageError(f"holds a stack of the axes {series.axes}; one picture of several channels is expected")
    with_alpha = bool(extra) and extra[-1] in ALPHA and values.shape[2] in (2, 4)
    image = _picture(values[:, :, :-1], values[:, :, -1]) if with_alpha else _picture(values, None)
    return turned(image, orientation)


def size_of(path: Path) -> tuple[int, int] | None:
    """Return the upright (width, height) as the header says, or None if this is no file that this module reads."""
    if path.suffix.lower() == ".npy":
        shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
        return (shape[1], shape[0]) if len(shape) in (2, 3) else None
    if path.suffix.lower() in (".tif", ".tiff"):
        with _tifffile().TiffFile(path) as file:
            page = file.pages[0]
            size = int(page.imagewidth), int(page.imagelength)
            return size[::-1] if page.tags.valueof(ORIENTATION, default=1) in (5, 6, 7, 8) else size
    return None


def write(path: Path, format_of: str, pixels: Pixels, alpha: NDArray[np.uint8] | None) -> None:
    """Write pixels of any number of channels to `path`; `format_of` is the suffix of the final file.

    Floats in [0, 1] become 16 bits, except in .npy. Raises ImageError if the format cannot hold them.
    """
    if format_of == ".npy":
        with path.open("wb") as file:
            np.save(file, pixels if alpha is None else np.dstack([pixels, _like(alpha, pixels)]))
        return
    values = pixels if pixels.dtype == np.uint8 else np.rint(pixels.clip(0, 1) * 65535).astype(np.uint16)
    if alpha is not None:
        values = np.dstack([values, _like(alpha, values)])
    values = values[:, :, 0] if values.shape[2] == 1 else values
    if format_of == ".png" and pixels.shape[2] in (1, 3):
        path.write_bytes(_imagecodecs().png_encode(values))
        return
    if format_of not in (".tif", ".tiff"):
        raise ImageError(f"{pixels.shape[2]} channels do not fit into {format_of}; name a .tiff or .npy file")
    colour = "rgb" if pixels.shape[2] == 3 else "minisblack"
    extra = {} if alpha is None else {"extrasamples": ["unassalpha"]}
    _tifffile().imwrite(path, values, photometric=colour, planarconfig="contig", compression="zlib", **extra)


def can_write(format_of: str | None) -> bool:
    """Whether more than 8 bits of colour can be written in a format, by Pillow's name, with what is installed."""
    return format_of in ("PNG", "TIFF") and find_spec("imagecodecs") is not None and find_spec("tifffile") is not None


def _like(alpha: NDArray[np.uint8], pixels: Pixels) -> Pixels:
    """Return alpha in the type and range of the pixels."""
    if pixels.dtype == np.uint8:
        return alpha
    return alpha.astype(np.uint16) * 257 if pixels.dtype == np.uint16 else alpha.astype(np.float32) / 255


def _picture(values: NDArray[Any], alpha: NDArray[Any] | None) -> ImageData:
    if values.ndim == 2:
        values = values[:, :, None]
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


def _tifffile() -> ModuleType:
    try:
        import tifffile
    except ImportError:
        raise ImageError('needs tifffile to be read or written; pip install "viceversa[data]"') from None
    module: ModuleType = tifffile
    return module


def _imagecodecs() -> ModuleType:
    try:
        import imagecodecs
    except ImportError:
        raise ImageError('has 16 bits a channel, which needs imagecodecs; pip install "viceversa[data]"') from None
    module: ModuleType = imagecodecs
    return module
