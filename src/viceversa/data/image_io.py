"""Reading and writing image files: any mode that Pillow reads, upright, in sRGB, as numpy arrays (H, W, C).

Ordinary images stay uint8; sources with more than 8 bits become float32 in [0, 1]. Pillow would cut 16 bits per
channel of *colour* to 8 without a word, and knows no more than four channels: such files go to `deep`.
"""

from __future__ import annotations

import math
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from viceversa.data import deep
from viceversa.data.colour import png_without_text, to_srgb
from viceversa.data.image_data import (
    ImageData,
    ImageError,
    Pixels,
    eight_bits,
    luminance,
    on_white,
    pil_image,
    turned,
)
from viceversa.data.signatures import kind_of
from viceversa.files import replacing
from viceversa.paths import EXTENSIONS

FORMATS = {".png": "PNG", ".apng": "PNG", ".webp": "WEBP", ".gif": "GIF", ".bmp": "BMP", ".dib": "DIB", ".tga": "TGA"}
FORMATS |= dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG")
FORMATS |= dict.fromkeys((".tif", ".tiff"), "TIFF")
FORMATS |= dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "PPM")
FORMATS |= dict.fromkeys((".jp2", ".j2k", ".j2c", ".jpx", ".jpf"), "JPEG2000")
FORMATS |= dict.fromkeys((".avif", ".avifs"), "AVIF")
"""By suffix, what Pillow calls the format."""
READABLE = tuple(sorted(set(FORMATS.values()) - {"TGA"}))  # no EPS or PDF: those would start other programs
OPAQUE = frozenset({"JPEG", "BMP", "DIB", "PPM"})  # formats without alpha
DEEP_GRAY = frozenset({"PNG", "TIFF", "JPEG2000"})  # in which Pillow writes 16 bits of gray

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
EXIF_ORIENTATION, SAMPLES_PER_PIXEL, SAMPLE_FORMAT, WIDTH, HEIGHT = 0x0112, 0x0115, 0x0153, 0x0100, 0x0101
SIGNED = 2

Shown: TypeAlias = Image.Image | NDArray[np.uint8] | ImageData


def read_image(path: Path | str) -> ImageData:
    """Read an image of any kind: first frame, turned as its EXIF data say, ordinary ones converted to sRGB.

    Images with more than 8 bits become float32 in [0, 1] (see `_unit_gray` for gray ones, `deep` for others).
    Raises ImageError if the file cannot be read or decoded, or needs a package that is not installed.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of odd metadata; what matters raises an error below
            if path.suffix.lower() == ".npy":
                return deep.read_array(path)
            with path.open("rb") as file:  # not its path: Pillow would map a turned TIFF with the turned size
                return _read(path, file)
    except Exception as error:  # on damaged files Pillow raises nearly anything
        raise ImageError(f"{path}: {_reason(path, error)}") from None


def _read(path: Path, file: BinaryIO) -> ImageData:
    try:
        with open_pil(file, path.suffix) as image:
            if not _too_deep(image):
                return from_pil(image)
            if image.format == "TIFF":
                return deep.read_tiff(path)
            return turned(deep.read_png(path), _orientation(image))
    except UnidentifiedImageError:
        file.seek(0)
        if file.read(4) in TIFF:
            return deep.read_tiff(path)
        raise
    except ValueError as error:
        if "MAX_TEXT" not in str(error) and "text chunks" not in str(error):
            raise
        content, profile = png_without_text(path.read_bytes())
        with Image.open(BytesIO(content), formats=["PNG"]) as image:
            if _too_deep(image):
                return turned(deep.read_png(path), _orientation(image))
            image.info["icc_profile"] = profile
            return from_pil(image)


def open_pil(file: BinaryIO | Path, suffix: str) -> ImageFile:
    """Open a file of a format that is read; `suffix` allows for one that has no signature of its own."""
    named = FORMATS.get(suffix.lower(), "PNG")
    return Image.open(file, formats=READABLE if named in READABLE else (*READABLE, named))


def image_size(path: Path) -> tuple[int, int] | None:
    """Return the upright (width, height) as the file's header says, or None if it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                with open_pil(path, path.suffix) as image:
                    return upright_size(image)
            except UnidentifiedImageError:
                return deep.size_of(path)
    except Exception:  # as above; whoever opens the image will say why
        return None


def upright_size(image: ImageFile) -> tuple[int, int]:
    """Return (width, height) of an image that is open but not loaded, as it is once it is turned."""
    width, height = image.size
    if isinstance(image, TiffImageFile):  # newer versions of Pillow have turned the size already
        width, height = image.tag_v2[WIDTH], image.tag_v2[HEIGHT]
    return (height, width) if header_orientation(image) in (5, 6, 7, 8) else (width, height)


def header_orientation(image: ImageFile) -> int:
    """Return EXIF's orientation, 1 to 8, without decoding: PNG's own getexif would look for what follows the pixels."""
    try:
        return int(Image.Image.getexif(image).get(EXIF_ORIENTATION, 1))
    except Exception:  # metadata are often broken, and no reason to refuse an image
        return 1


def to_image_data(image: Shown) -> ImageData:
    """Return what can be translated as a decoded image; ValueError for arrays that are no images."""
    if isinstance(image, ImageData):
        return image
    return from_pil(image if isinstance(image, Image.Image) else pil_image(image))


def from_pil(image: Image.Image) -> ImageData:
    """Turn a PIL image of any mode into an image as its EXIF data say, in sRGB.

    Raises whatever Pillow raises for damaged data, and ImageError for values that are not finite.
    """
    signed = _signed(image)
    image.load()
    return turned(_decode(image, signed), _orientation(image))


def _too_deep(image: ImageFile) -> bool:
    """Whether Pillow would lose something: colours of 16 bits, or channels that it does not know."""
    if image.format not in ("PNG", "TIFF"):
        return False
    bands = image.tag_v2.get(SAMPLES_PER_PIXEL, 1) if isinstance(image, TiffImageFile) else len(image.getbands())
    cut = any(";16" in str(tile.args) for tile in image.tile) and not image.mode.startswith("I")
    return cut or bands != len(image.getbands())


def _signed(image: Image.Image) -> np.dtype[Any] | None:
    """Return the type of the numbers of a gray TIFF where Pillow takes them for others."""
    if not isinstance(image, TiffImageFile):
        return None
    signed = image.tag_v2.get(SAMPLE_FORMAT, (1,))[0] == SIGNED
    if image.mode == "L" and signed:
        return np.dtype(np.int8)
    return np.dtype(np.uint32) if image.mode == "I" and not signed else None


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(EXIF_ORIENTATION, 1))
    except Exception:  # as above
        return 1


def _decode(image: Image.Image, signed: np.dtype[Any] | None) -> ImageData:
    if signed is not None or image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image)
        return _unit_gray(values if signed is None else values.view(signed))
    gray = image.mode in ("1", "L", "LA", "La")
    palette = image.mode in ("P", "PA")
    profile = image.info.get("icc_profile")
    alpha = None
    if image.has_transparency_data:
        image = image.convert("LA" if gray else "RGBA")
        alpha = np.array(image.getchannel("A"))
    if image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if gray else "RGB")
    pixels = np.array(to_srgb(image, profile))
    if palette:
        gray = bool((pixels == pixels[:, :, :1]).all())
    if gray:
        pixels = pixels.reshape(*pixels.shape[:2], -1)[:, :, :1]
    return ImageData(pixels, alpha, gray)


def _unit_gray(values: NDArray[Any]) -> ImageData:
    """Bring deep gray values into [0, 1].

    Integers are 16 bit; floats are taken as they are, or, if they are whole numbers, as 8 or 16 bit. Whatever fits none
    of these, such as negative numbers, has an unknown range, and is stretched from its least to its greatest value.
    """
    low, high = float(values.min()), float(values.max())
    if not math.isfinite(low) or not math.isfinite(high):
        raise ImageError("holds values that are not finite numbers")
    whole = values.dtype.kind in "iu"
    if values.dtype == np.int8 and low >= 0:
        return ImageData(values.astype(np.uint8)[:, :, None], None, True)
    tops = [65535] if whole else [1, 255, 65535] if (values == np.rint(values)).all() else [1]
    top = next((top for top in tops if low >= 0 and high <= top), None)
    values = values.astype(np.float64)
    scaled = (values - low) / max(high - low, 1e-12) if top is None else values / top
    return ImageData(scaled.astype(np.float32)[:, :, None], None, True, depth=16 if whole and top else 0)


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return "too large to be opened safely; shrink it first"
    if isinstance(error, ImageError):
        return str(error)
    if not path.is_file() or isinstance(error, PermissionError):
        return f"cannot be read ({getattr(error, 'strerror', None) or 'not a file'})"
    with path.open("rb") as file:
        kind = kind_of(file.read(512))
    if kind:
        return kind
    if isinstance(error, UnidentifiedImageError):
        return "not a picture in a format that can be read"
    return f"damaged ({' '.join(str(error).split()) or type(error).__name__})"


def write_image(path: Path | str, pixels: Pixels, alpha: NDArray[np.uint8] | None = None, gray: bool = False) -> None:
    """Write (H, W, C) in the format of the suffix, with `alpha` (H, W) if the format can hold it.

    `gray` writes one channel. Floats in [0, 1] are written with 16 bits where format and installed packages can, else
    with 8; in .npy as they are. The file appears at once and whole, in folders made as needed. Raises ImageError for an
    unknown suffix, and for channels that do not fit into the format.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in EXTENSIONS:
        raise ImageError(f"{path}: cannot write this format; use one of {' '.join(sorted(EXTENSIONS))}")
    format_of = FORMATS.get(suffix)
    if alpha is None and pixels.shape[2] == 4 and pixels.dtype == np.uint8:
        pixels, alpha = pixels[:, :, :3], pixels[:, :, 3]
    if alpha is not None and format_of in OPAQUE:
        pixels, alpha = on_white(pixels, alpha), None
    if (gray or suffix == ".pgm") and pixels.shape[2] == 3:
        pixels = luminance(pixels)
    with replacing(path, durable=False) as partial:
        try:
            _write(partial, suffix, pixels, alpha)
        except ImageError as error:
            raise ImageError(f"{path}: {error}") from None


def _write(path: Path, suffix: str, pixels: Pixels, alpha: NDArray[np.uint8] | None) -> None:
    format_of, channels = FORMATS.get(suffix), pixels.shape[2]
    is_deep = pixels.dtype != np.uint8
    if is_deep and channels == 1 and alpha is None and format_of in DEEP_GRAY:
        values = np.rint(pixels[:, :, 0].clip(0, 1) * 65535).astype(np.uint16)
        Image.fromarray(values).save(path, format=format_of)
    elif format_of is None or channels not in (1, 3) or (is_deep and deep.can_write(format_of)):
        deep.write(path, suffix, pixels, alpha)
    else:
        image = pil_image(eight_bits(pixels))
        if alpha is not None:
            image.putalpha(pil_image(alpha))
        image.save(path, format=format_of, quality=95)  # quality: of JPEG, WebP and AVIF
