"""Decoding pictures of any mode Pillow knows: upright, in sRGB, as numpy arrays (height, width, channels).

Ordinary pictures stay uint8; sources with more than 8 bits become float32 in [0, 1]. Pillow would cut 16 bits per
channel of *colour* to 8 without a word, and knows no more than four channels: such files go to `deep`.
"""

from __future__ import annotations

import math
import warnings
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from viceversa.data import deep
from viceversa.data.image_data import ImageData, ImageError, Pixels, luminance, on_white, pil_image
from viceversa.files import replacing
from viceversa.paths import EXTENSIONS

READABLE = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM")  # no EPS or PDF: those would start other programs
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
EXIF_ORIENTATION, SAMPLES_PER_PIXEL = 0x0112, 0x0115


Shown: TypeAlias = Image.Image | NDArray[np.uint8] | ImageData


def read_image(path: Path | str) -> ImageData:
    """Read a picture of any kind: first frame, turned as its EXIF data say, ordinary ones converted to sRGB.

    Pictures with more than 8 bits become float32 in [0, 1] (see `_scale` for gray ones, `deep` for others).
    Raises ImageError if the file cannot be read or decoded, or needs a package that is not installed.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of odd metadata; what matters raises an error below
            return _open(path)
    except Exception as error:  # on damaged files Pillow raises nearly anything
        raise ImageError(f"{path}: {_reason(path, error)}") from None


def _open(path: Path) -> ImageData:
    if path.suffix.lower() == ".npy":
        return deep.read_array(path)
    try:
        with Image.open(path, formats=READABLE) as image:
            if not _too_deep(image):
                return from_pil(image)
            read = deep.read_png if image.format == "PNG" else deep.read_tiff
            return _turn(read(path), _orientation(image))
    except UnidentifiedImageError:
        if path.is_file() and path.read_bytes()[:4] in TIFF:
            return deep.read_tiff(path)
        raise


def _too_deep(image: ImageFile) -> bool:
    """Whether Pillow would lose something: colours of 16 bits, or channels that it does not know."""
    if image.format not in ("PNG", "TIFF"):
        return False
    bands = image.tag_v2.get(SAMPLES_PER_PIXEL, 1) if isinstance(image, TiffImageFile) else len(image.getbands())
    cut = any(";16" in str(tile.args) for tile in image.tile) and not image.mode.startswith("I")
    return cut or bands != len(image.getbands())


def from_pil(image: Image.Image) -> ImageData:
    """Turn a PIL image of any mode into a picture: as its EXIF data say, in sRGB.

    Raises whatever Pillow raises for damaged data, and ImageError for values that are not finite.
    """
    image.load()
    return _turn(_decode(image), _orientation(image))


def to_image_data(image: Shown) -> ImageData:
    """Return what can be translated as a decoded picture; ValueError for arrays that are no pictures."""
    if isinstance(image, ImageData):
        return image
    return from_pil(image if isinstance(image, Image.Image) else pil_image(image))


def image_size(path: Path) -> tuple[int, int] | None:
    """Return (width, height) as the file's header says, or None if it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                with Image.open(path, formats=READABLE) as image:
                    width, height = image.size
                    return width, height
            except UnidentifiedImageError:
                return deep.size_of(path)
    except Exception:  # as above; whoever opens the picture will say why
        return None


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return "too large to be opened safely; shrink it first"
    if isinstance(error, ImageError):
        return str(error)
    if not path.is_file() or isinstance(error, PermissionError):
        return f"cannot be read ({getattr(error, 'strerror', None) or 'not a file'})"
    with path.open("rb") as file:
        head = file.read(200).lstrip(b"\xef\xbb\xbf \t\r\n")
    if not path.stat().st_size:
        return "the file is empty"
    if head.startswith(b"<"):
        return "a web page or other text, not a picture"
    if isinstance(error, UnidentifiedImageError):
        return "not a picture in a format that can be read"
    return f"damaged ({' '.join(str(error).split()) or type(error).__name__})"


def _decode(image: Image.Image) -> ImageData:
    if image.mode == "F" or image.mode.startswith("I"):
        return ImageData(_scale(np.asarray(image))[:, :, None], None, True)
    gray = image.mode in ("1", "L", "LA", "La")
    palette = image.mode in ("P", "PA")
    profile = image.info.get("icc_profile")
    alpha = None
    if image.has_transparency_data:
        image = image.convert("LA" if gray else "RGBA")
        alpha = np.array(image.getchannel("A"))
    if image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if gray else "RGB")
    pixels = np.array(_to_srgb(image, profile))
    if palette:
        gray = bool((pixels == pixels[:, :, :1]).all())
    if gray:
        pixels = pixels.reshape(*pixels.shape[:2], -1)[:, :, :1]
    return ImageData(pixels, alpha, gray)


def _scale(values: NDArray[Any]) -> NDArray[np.float32]:
    """Bring deep gray values into [0, 1].

    Integers are 16 bit; floats are taken as they are, or, if they are whole numbers, as 8 or 16 bit. Whatever fits none
    of these has an unknown range, and is stretched from its least to its greatest value.
    """
    low, high = float(values.min()), float(values.max())
    if not math.isfinite(low) or not math.isfinite(high):
        raise ImageError("holds values that are not finite numbers")
    whole = values.dtype.kind in "iu"
    tops = [65535] if whole else [1, 255, 65535] if (values == np.rint(values)).all() else [1]
    top = next((top for top in tops if low >= 0 and high <= top), None)
    values = values.astype(np.float64)
    scaled: NDArray[np.float64] = (values - low) / max(high - low, 1e-12) if top is None else values / top
    return scaled.astype(np.float32)


def changes_colour(image: Image.Image) -> bool:
    """Whether reading an image converts its colours: it has a profile that works and is not sRGB."""
    profile = image.info.get("icc_profile")
    mode = image.mode if image.mode in ("L", "CMYK") else "RGB"
    return bool(profile) and _transform(profile, mode) is not None


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
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


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(EXIF_ORIENTATION, 1))
    except Exception:  # metadata are often broken, and no reason to refuse a picture
        return 1


def _turn(picture: ImageData, orientation: int) -> ImageData:
    def turn(pixels: Pixels) -> Pixels:
        if orientation in (5, 6, 7, 8):  # stored sideways
            pixels = pixels.swapaxes(0, 1)
        if orientation in (3, 4, 7, 8):
            pixels = pixels[::-1]
        if orientation in (2, 3, 6, 7):
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(pixels)

    alpha = None if picture.alpha is None else turn(picture.alpha)
    return ImageData(turn(picture.pixels), alpha, picture.gray)


FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP", ".tif": "TIFF"}
FORMATS |= {".tiff": "TIFF", ".gif": "GIF", ".ppm": "PPM", ".pgm": "PPM"}
OPAQUE = frozenset({".jpg", ".jpeg", ".bmp", ".ppm", ".pgm"})  # formats without alpha


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
