"""Reading and writing image files: any mode that Pillow reads, upright, in sRGB.

Ordinary images stay uint8; sources with more than 8 bits become float32 in [0, 1]. Pillow would cut 16 bits per
channel of *colour* to 8 without a word, and knows no more than four channels: such files go to `deep`.
"""

from __future__ import annotations

import math
import re
import struct
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from viceversa.data.image_data import (
    ImageData,
    ImageError,
    Pixels,
    eight_bits,
    luminance,
    on_white,
    pil_image,
    to_srgb,
    turned,
)
from viceversa.files import replacing
from viceversa.paths import EXTENSIONS

FORMATS = {suffix: suffix[1:].upper() for suffix in EXTENSIONS - {".npy"}}
"""By suffix, what Pillow calls the format."""
FORMATS |= dict.fromkeys((".jpg", ".jpe", ".jfif"), "JPEG") | dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "PPM")
FORMATS |= dict.fromkeys((".jp2", ".j2k"), "JPEG2000") | {".tif": "TIFF"}
READABLE = ("JPEG", "PNG", *sorted(set(FORMATS.values()) - {"JPEG", "PNG", "TGA"}))  # no EPS: that starts a program
OPAQUE = frozenset({"JPEG", "BMP", "PPM"})  # formats without alpha
DEEP_GRAY = frozenset({"PNG", "TIFF", "JPEG2000", "PPM"})  # in which Pillow writes 16 bits of gray

ORIENTATION, WIDTH, HEIGHT, SAMPLES_PER_PIXEL, SAMPLE_FORMAT = 0x0112, 0x0100, 0x0101, 0x0115, 0x0153
SIGNED = 2  # a SAMPLE_FORMAT

OTHERS = {
    b"<": "a web page or other text, not a picture",
    b"version https://git-lfs": "a Git LFS pointer, not the picture itself; fetch it with `git lfs pull`",
    b"%PDF": "a PDF document, not a picture",
    b"PK\x03\x04": "a ZIP archive, not a picture; unpack it",
    b"\xff\x0a": "a picture in JPEG XL",
    b"%!PS": "PostScript, not a picture",
    **{b"ftyp" + brand: "a picture in HEIC" for brand in (b"hei", b"hev", b"mif1", b"msf1")},
    **{b"ftyp" + brand: "a video, not a picture" for brand in (b"isom", b"mp4", b"qt", b"M4V")},
    b"ftypavif": "a picture in AVIF that is damaged, or that this Pillow cannot read",
}
"""By its first bytes (after the length in files like MP4's), what a file is that is taken for a picture."""


Shown: TypeAlias = Image.Image | NDArray[np.uint8] | ImageData


def read_image(path: Path | str) -> ImageData:
    """Read an image of any kind: first frame, turned as its EXIF data say, ordinary ones converted to sRGB.

    Images with more than 8 bits become float32 in [0, 1] (see `_unit_gray` for gray ones, `deep` for others).
    Raises ImageError if the file cannot be read or decoded, or needs a package that is not installed.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:  # opened by its path, Pillow would map a turned TIFF with the turned size
            return decode(file, path)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror or error})") from None


def decode(file: BinaryIO, name: object) -> ImageData:
    """Read an image from an open file as `read_image` does; errors call it `name`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of odd metadata; what matters raises an error below
            return _decode(file, str(name))
    except Exception as error:  # on damaged files Pillow raises nearly anything
        file.seek(0)
        raise ImageError(f"{name}: {_reason(file.read(512), error)}") from None


def _decode(file: BinaryIO, name: str) -> ImageData:
    head = file.read(6)
    file.seek(0)
    if head == b"\x93NUMPY":
        from viceversa.data.deep import read_array

        return read_array(file)
    is_png, orientation = False, 1
    try:
        with open_pil(file, name) as image:
            if not _too_deep(image):
                return from_pil(image)
            if image.format == "PNG":
                is_png, orientation = True, _orientation(image)
    except UnidentifiedImageError:
        if head[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            raise
    except ValueError as error:
        if "MAX_TEXT" not in str(error) and "text chunks" not in str(error):
            raise
        file.seek(0)
        return _decode(BytesIO(_without_text(file.read())), name)
    from viceversa.data.deep import read_png, read_tiff  # here, as few images need them

    file.seek(0)
    return turned(read_png(file) if is_png else read_tiff(file), orientation)


def open_pil(file: BinaryIO | Path, name: str) -> ImageFile:
    """Open a file of a format that is read; the suffix of its name allows for TGA, which has no signature."""
    return Image.open(file, formats=(*READABLE, "TGA") if name.lower().endswith(".tga") else READABLE)


def image_size(path: Path) -> tuple[int, int] | None:
    """Return the upright (width, height) as the file's header says, or None if Pillow cannot read it."""
    try:
        with warnings.catch_warnings(), open_pil(path, path.name) as image:
            warnings.simplefilter("ignore")
            return upright_size(image)
    except Exception:  # as above; whoever opens the image will say why
        return None


def upright_size(image: ImageFile) -> tuple[int, int]:
    """Return (width, height) of an image that is open but not loaded, as it is once it is turned."""
    width, height = image.size
    if isinstance(image, TiffImageFile):  # newer versions of Pillow have turned the size already
        width, height = image.tag_v2[WIDTH], image.tag_v2[HEIGHT]
    return (height, width) if header_orientation(image) in (5, 6, 7, 8) else (width, height)


def header_orientation(image: Image.Image) -> int:
    """Return EXIF's orientation, 1 to 8, without decoding: PNG's own getexif would look for what follows the pixels."""
    return _orientation(image, Image.Image.getexif)


def _orientation(image: Image.Image, read: Callable[[Any], Image.Exif] | None = None) -> int:
    try:
        return int((read(image) if read else image.getexif()).get(ORIENTATION, 1))
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
    own_type = _type_of_gray(image)
    if isinstance(image, TiffImageFile):
        image.tile = [
            tile._replace(args=_native(tile.args)) if tile.codec_name == "libtiff" else tile for tile in image.tile
        ]
    image.load()
    orientation = _orientation(image)
    if own_type or image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image)
        return turned(_unit_gray(values.view(own_type) if own_type else values), orientation)
    gray, palette = image.mode in ("1", "L", "LA", "La"), image.mode in ("P", "PA")
    profile, alpha = image.info.get("icc_profile"), None
    if image.has_transparency_data:
        image = image.convert("LA" if gray else "RGBA")
        alpha = np.array(image.getchannel("A"))
    if image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if gray else "RGB")
    pixels = np.array(to_srgb(image, profile))
    gray = gray or (palette and bool((pixels == pixels[:, :, :1]).all()))
    if gray:
        pixels = pixels.reshape(*pixels.shape[:2], -1)[:, :, :1]
    return turned(ImageData(pixels, alpha, gray), orientation)


def _too_deep(image: ImageFile) -> bool:
    """Whether Pillow would lose something: colours of 16 bits, or channels that it does not know."""
    if image.format not in ("PNG", "TIFF"):
        return False
    bands = image.tag_v2.get(SAMPLES_PER_PIXEL, 1) if isinstance(image, TiffImageFile) else len(image.getbands())
    cut = any(";16" in str(tile.args) for tile in image.tile) and not image.mode.startswith("I")
    return cut or bands != len(image.getbands())


def _native(args: Any) -> Any:
    """Return how Pillow unpacks what libtiff has decoded: in this machine's order of bytes, whatever the file's is."""
    return (re.sub("(16|32)B([SF])", r"\1N\2", args[0]), *args[1:])


def _type_of_gray(image: Image.Image) -> np.dtype[Any] | None:
    """Return the type of the numbers of a gray TIFF where Pillow takes them for others."""
    if not isinstance(image, TiffImageFile) or image.mode not in ("L", "I"):
        return None
    signed = image.tag_v2.get(SAMPLE_FORMAT, (1,))[0] == SIGNED
    return np.dtype("i1" if signed else "u4") if signed == (image.mode == "L") else None


def _unit_gray(values: NDArray[Any]) -> ImageData:
    """Bring deep gray values into [0, 1].

    Integers are 16 bit; floats are taken as they are, or, if they are whole numbers, as 8 or 16 bit. Whatever fits none
    of these, such as negative numbers, has an unknown range, and is stretched from its least to its greatest value.
    """
    low, high = float(values.min()), float(values.max())
    if not math.isfinite(low) or not math.isfinite(high):
        raise ImageError("holds values that are not finite numbers")
    if values.dtype == np.int8 and low >= 0:
        return ImageData(values.astype(np.uint8)[:, :, None], None, True)
    whole = values.dtype.kind in "iu"
    tops = [65535] if whole else [1, 255, 65535] if (values == np.rint(values)).all() else [1]
    top = next((top for top in tops if low >= 0 and high <= top), None)
    values = values.astype(np.float64)
    scaled = (values - low) / max(high - low, 1e-12) if top is None else values / top
    return ImageData(
        scaled.astype(np.float32)[:, :, None], None, True, 16 if whole and top else 0, stretched=top is None
    )


def _without_text(content: bytes) -> bytes:
    """Return a PNG without its texts, which may be larger than Pillow takes."""
    kept, place = [content[:8]], 8
    while place + 8 <= len(content):
        length, kind = struct.unpack(">I4s", content[place : place + 8])
        if kind not in (b"tEXt", b"zTXt", b"iTXt"):
            kept.append(content[place : place + 12 + length])
        place += 12 + length
    return b"".join(kept)


def _reason(head: bytes, error: Exception) -> str:
    if isinstance(error, ImageError):
        return str(error)
    if isinstance(error, Image.DecompressionBombError):
        return "too large to be opened safely; shrink it first"
    if not head.strip(b"\0"):
        return "holds only zeros, as a copy that broke off does" if head else "the file is empty"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for what in (what for magic, what in OTHERS.items() if (head[4:] if b"ftyp" in magic else text).startswith(magic)):
        return what if "not" in what else f"{what}, which is not read; convert it to PNG or JPEG"
    if isinstance(error, UnidentifiedImageError):
        is_text = all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head)
        return "a text, not a picture" if is_text else "not a picture in a format that can be read"
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
    if alpha is None and pixels.shape[2] == 4 and pixels.dtype == np.uint8:
        pixels, alpha = pixels[:, :, :3], pixels[:, :, 3]
    if alpha is not None and FORMATS.get(suffix) in OPAQUE:
        pixels, alpha = on_white(pixels, alpha), None
    if (gray or suffix == ".pgm") and pixels.shape[2] == 3:
        pixels = luminance(pixels)
    with replacing(path, durable=False) as partial:
        try:
            _write(partial, suffix, pixels, alpha)
        except ImageError as error:
            raise ImageError(f"{path}: {error}") from None


def _write(path: Path, suffix: str, pixels: Pixels, alpha: NDArray[np.uint8] | None) -> None:
    from viceversa.data import deep

    format_of, channels = FORMATS.get(suffix), pixels.shape[2]
    is_deep = pixels.dtype != np.uint8
    if is_deep and channels == 1 and alpha is None and format_of in DEEP_GRAY:
        Image.fromarray(np.rint(pixels[:, :, 0].clip(0, 1) * 65535).astype(np.uint16)).save(path, format=format_of)
    elif format_of is None or channels not in (1, 3) or (is_deep and format_of in ("PNG", "TIFF")):
        deep.write(path, suffix, pixels, alpha)
    else:
        image = pil_image(eight_bits(pixels))
        if alpha is not None:
            image.putalpha(pil_image(alpha))
        image.save(path, format=format_of, quality=95)  # quality: of JPEG, WebP and AVIF
