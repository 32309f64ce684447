"""Reading and writing image files: any mode that Pillow reads, upright, in sRGB.

Ordinary images stay uint8; sources with more than 8 bits become float32 in [0, 1]. Pillow would cut 16 bits per
channel of *colour* to 8 without a word, and has no more than four channels: such files go to `deep`.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, UnidentifiedImageError
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
    unit_gray,
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
ARRAY, PNG, TIFF = b"\x93NUMPY", b"\x89PNG", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the first bytes of files
LONGEST_TEXT = 2**27  # bytes in a PNG: Pillow takes one megabyte, and some programs write more

OTHERS = {
    b"<": "a web page or other text, not a picture",
    b"version https://git-lfs": "a Git LFS pointer, not the picture itself; fetch it with `git lfs pull`",
    b"%PDF": "a PDF document, not a picture",
    b"PK\x03\x04": "a ZIP archive, not a picture; unpack it",
    b"\xff\x0a": "a picture in JPEG XL, which is not read; convert it to PNG or JPEG",
    b"ftyphei": "a picture in HEIC, which is not read; convert it to PNG or JPEG",
}
"""By its first bytes (after the length in files like MP4's), what a file is that is taken for a picture."""


def read_image(path: Path | str) -> ImageData:
    """Read an image of any kind: first frame, turned as its EXIF data say, in sRGB; ImageError with the reason."""
    path = Path(path)
    try:
        with path.open("rb") as file:  # opened by its path, Pillow would map a turned TIFF with the turned size
            return decode(file, path)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror or error})") from None


def decode(file: BinaryIO, name: object) -> ImageData:
    """Read an image from an open file as `read_image` does; errors call it `name`."""
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = LONGEST_TEXT
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of odd metadata; what matters raises an error below
            return _decode(file, str(name))
    except Exception as error:  # on damaged files Pillow raises nearly anything
        file.seek(0)
        raise ImageError(f"{name}: {_reason(file.read(512), error)}") from None


def _decode(file: BinaryIO, name: str) -> ImageData:
    head, orientation = file.read(6), 1
    file.seek(0)
    if head != ARRAY:
        try:
            with open_pil(file, name) as image:
                if not _too_deep(image):
                    return from_pil(image)
                orientation = _orientation(image)
        except UnidentifiedImageError:
            if head[:4] not in TIFF:
                raise
    from viceversa.data import deep  # here, as ordinary pictures do without

    file.seek(0)
    if head == ARRAY:
        return deep.read_array(file)
    return turned(deep.read_png(file), orientation) if head.startswith(PNG) else deep.read_tiff(file)


def open_pil(file: BinaryIO | Path, name: str) -> ImageFile:
    """Open a file of a format that is read; the suffix of its name allows for TGA, which has no signature, and HEIC."""
    if name.lower().endswith((".heic", ".heif")):
        if find_spec("pillow_heif") is None:
            raise ImageError('HEIC needs pillow-heif; pip install "viceversa[heic]", or convert it to PNG or JPEG')
        from pillow_heif import register_heif_opener

        register_heif_opener()
        return Image.open(file, formats=("HEIF",))
    return Image.open(file, formats=(*READABLE, "TGA") if name.lower().endswith(".tga") else READABLE)


def image_size(path: Path) -> tuple[int, int] | None:
    """Return the upright (width, height) as the file's header says, or None if Pillow cannot read it."""
    try:
        with warnings.catch_warnings(), open_pil(path, path.name) as image:
            warnings.simplefilter("ignore")
            width, height = image.size
            if isinstance(image, TiffImageFile):  # newer versions of Pillow have turned the size already
                width, height = image.tag_v2[WIDTH], image.tag_v2[HEIGHT]
            return (height, width) if header_orientation(image) in (5, 6, 7, 8) else (width, height)
    except Exception:  # as above; whoever opens the image will say why
        return None


def header_orientation(image: Image.Image) -> int:
    """Return EXIF's orientation, 1 to 8, without decoding: PNG's own getexif would look for what follows the pixels."""
    return _orientation(image, in_header=True)


def _orientation(image: Image.Image, in_header: bool = False) -> int:
    try:
        return int((Image.Image.getexif(image) if in_header else image.getexif()).get(ORIENTATION, 1))
    except Exception:  # metadata are often broken, and no reason to refuse an image
        return 1


def from_pil(image: Image.Image) -> ImageData:
    """Turn a PIL image of any mode into an image as its EXIF data say, in sRGB; raises what Pillow raises of damage."""
    image.load()
    orientation = _orientation(image)
    if image.mode[0] in "IF":
        return turned(unit_gray(np.asarray(image)), orientation)
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
    """Whether Pillow would lose something: colours of 16 bits, numbers of another type, or channels."""
    cut = any(";16" in str(tile.args) for tile in image.tile)
    if not isinstance(image, TiffImageFile):
        return image.format == "PNG" and cut and image.mode[0] != "I"
    signed = image.tag_v2.get(SAMPLE_FORMAT, (1,))[0] == SIGNED
    return cut or signed or image.mode[0] in "IF" or image.tag_v2.get(SAMPLES_PER_PIXEL, 1) != len(image.getbands())


def _reason(head: bytes, error: Exception) -> str:
    if isinstance(error, ImageError):
        return str(error)
    if isinstance(error, Image.DecompressionBombError):
        return "too large to be opened safely; shrink it first"
    if not head.strip(b"\0"):
        return "holds only zeros, as a copy that broke off does" if head else "the file is empty"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for what in (what for magic, what in OTHERS.items() if (head[4:] if b"ftyp" in magic else text).startswith(magic)):
        return what
    if isinstance(error, UnidentifiedImageError):
        is_text = all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head)
        return "a text, not a picture" if is_text else "not a picture in a format that can be read"
    return f"damaged ({' '.join(str(error).split()) or type(error).__name__})"


def write_image(
    path: Path | str,
    pixels: Pixels,
    alpha: NDArray[np.uint8] | None = None,
    gray: bool = False,
    *,
    exif: bytes = b"",
    profile: bytes = b"",
) -> None:
    """Write (H, W, C) in the format of the suffix, with `alpha` (H, W) if the format can hold it; it appears whole.

    `gray` writes one channel. Floats in [0, 1] are written with 16 bits where the format can, else with 8; in .npy as
    they are. EXIF data and colour profile go with it where the format holds them. ImageError for what does not fit.
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
            _write(partial, suffix, pixels, alpha, {"exif": exif, "icc_profile": profile})
        except ImageError as error:
            raise ImageError(f"{path}: {error}") from None


def _write(
    path: Path, suffix: str, pixels: Pixels, alpha: NDArray[np.uint8] | None, metadata: dict[str, bytes]
) -> None:
    format_of, channels = FORMATS.get(suffix), pixels.shape[2]
    metadata = {name: value for name, value in metadata.items() if value}
    is_deep = pixels.dtype != np.uint8
    if is_deep and channels == 1 and alpha is None and format_of in DEEP_GRAY:
        image = Image.fromarray(np.rint(pixels[:, :, 0].clip(0, 1) * 65535).astype(np.uint16))
        image.save(path, format=format_of, **metadata)
    elif format_of is None or channels not in (1, 3) or (is_deep and format_of in ("PNG", "TIFF")):
        from viceversa.data import deep

        deep.write(path, suffix, pixels, alpha, **metadata)
    else:
        image = pil_image(eight_bits(pixels))
        if alpha is not None:
            image.putalpha(pil_image(alpha))
        image.save(path, format=format_of, quality=95, **metadata)  # quality: of JPEG, WebP and AVIF
