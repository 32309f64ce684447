"""A folder of some forty files as they turn up in the wild: broken, odd, misnamed. `make` draws them into a folder.

Whatever is sound shows the same picture, `QUARTERS`: red, green, blue and yellow, upright. `kind` is what
`viceversa data check` says of a file, None if there is nothing to say.
"""

import os
import struct
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from support import foreign_profile

SIZE = (64, 48)  # width, height
QUARTERS = ((220, 30, 30), (40, 180, 60), (40, 60, 210), (230, 210, 60))  # top left, top right, bottom left, right
NOBODY = 65534
NO_FILE = "no file"  # a kind, for what is none


@dataclass(frozen=True)
class Hostile:
    """One of the files: `kind` of the finding, and whether a picture comes out of it."""

    name: str
    kind: str | None
    sound: bool = True
    gray: bool = False
    """There is no colour in it: of the picture, only the brightness is left."""


def quarters() -> Image.Image:
    width, height = SIZE
    pixels = np.zeros((height, width, 3), np.uint8)
    for i, colour in enumerate(QUARTERS):
        row, column = divmod(i, 2)
        pixels[row * height // 2 :, column * width // 2 :] = colour
    texture = np.random.default_rng(0).integers(-8, 9, (height, width, 1))  # not flat, and not to be compressed away
    return Image.fromarray(np.clip(pixels + texture, 0, 255).astype(np.uint8))


def png(width: int, height: int, depth: int, rows: bytes) -> bytes:
    """A PNG in RGB written by hand, since Pillow writes neither 16 bits of colour nor false sizes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty.png": (b"", "the file is empty"),
    "zeros.jpg": (bytes(900), "only zeros"),
    "page.png": (b"\xef\xbb\xbf\n<!DOCTYPE html><html>404</html>", "a web page"),
    "error.jpg": (b"404: Not Found", "a text, not a picture"),
    "pointer.png": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7\n", "a Git LFS pointer.*pull"),
    "phone.jpg": (b"\0\0\0\x24ftypheic\0\0\0\0mif1heic" + bytes(80), "in HEIC, which is not read; convert"),
    "clip.jpg": (b"\0\0\0\x20ftypisom" + bytes(80), "not a picture"),
    "avif.jpg": (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1" + bytes(80), "damaged|not a picture"),
    "archive.png": (b"PK\x03\x04" + bytes(40), "a ZIP archive"),
    "paper.png": (b"%PDF-1.7\n", "a PDF document"),
    "script.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),  # would start Ghostscript
    "garbage.png": (np.random.default_rng(1).bytes(700), "not a picture"),
    "bomb.png": (png(30_000, 30_000, 8, b""), "too large"),
    "empty_inside.png": (png(64, 48, 8, b""), "damaged"),
}
"""Files that nobody can read, and why."""


def to_foreign(image: Image.Image) -> Image.Image:
    """The same colours, as numbers of the foreign profile."""
    foreign = ImageCms.ImageCmsProfile(BytesIO(foreign_profile()))
    return ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), foreign)


Turn = Image.Transpose
TURNS = (Turn.FLIP_LEFT_RIGHT, Turn.ROTATE_180, Turn.FLIP_TOP_BOTTOM, Turn.TRANSPOSE)
TURNS += (Turn.ROTATE_90, Turn.TRANSVERSE, Turn.ROTATE_270)
"""What undoes EXIF's orientations 2 to 8: so a camera that was held otherwise stores its pixels."""


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def make(folder: Path) -> list[Hostile]:
    """Write the files into `folder` and say what each is."""
    folder.mkdir(parents=True, exist_ok=True)
    return [*broken(folder), *odd(folder), *misnamed(folder), *out_of_reach(folder)]


def broken(folder: Path) -> list[Hostile]:
    image = quarters()
    for name, (content, _) in BROKEN.items():
        (folder / name).write_bytes(content)
    cut = ("cut.jpg", "cut.png", "cut.webp", "cut.gif")
    for name in cut:
        image.save(folder / name)
        half(folder / name)
    Image.fromarray(np.array([[0, np.nan], [1, 0]], np.float32)).save(folder / "nan.tiff")
    return [Hostile(name, "broken", False) for name in (*BROKEN, *cut, "nan.tiff")]


def odd(folder: Path) -> list[Hostile]:
    image = quarters()
    gray = image.convert("L")
    later = [Image.new("RGB", SIZE, colour) for colour in ("black", "white")]
    clear = image.quantize(16)
    clear.putpixel((0, 0), 200)
    deep = (np.asarray(image, np.uint16) * 257).astype(">u2")
    writers: dict[str, tuple[str | None, Callable[[Path], object]]] = {
        "one.png": ("tiny", Image.new("RGB", (1, 1), "red").save),
        "thin.png": ("tiny", Image.fromarray(np.random.default_rng(2).integers(0, 256, (300, 2, 3), np.uint8)).save),
        "flat.png": ("flat", Image.new("RGB", SIZE, (90, 120, 40)).save),
        "cmyk.jpg": ("changed", image.convert("CMYK").save),
        "palette.png": ("changed", lambda path: clear.save(path, transparency=200)),
        "deep.png": (None, lambda path: path.write_bytes(png(*SIZE, 16, b"".join(b"\0" + r.tobytes() for r in deep)))),
        "deep_gray.png": (None, Image.fromarray(np.asarray(gray, np.uint16) * 257).save),
        "la.png": ("changed", Image.merge("LA", (gray, Image.new("L", SIZE, 250))).save),
        "moving.gif": ("changed", lambda path: image.save(path, save_all=True, append_images=later)),
        "moving.webp": ("changed", lambda path: image.save(path, save_all=True, append_images=later, quality=90)),
        "pages.tiff": ("changed", lambda path: image.save(path, save_all=True, append_images=later)),
        "gamut.png": (None, lambda path: to_foreign(image).save(path, icc_profile=foreign_profile())),
        "lost_profile.png": (None, lambda path: image.save(path, icc_profile=b"not a profile")),
    }
    for name, (_, write) in writers.items():
        write(folder / name)
    shown = {"one.png", "thin.png", "flat.png"}
    found = [
        Hostile(name, kind, name not in shown, gray=name in ("deep_gray.png", "la.png"))
        for name, (kind, _) in writers.items()
    ]
    for orientation, stored in enumerate((image, *map(image.transpose, TURNS)), 1):
        exif = Image.Exif()
        exif[0x0112] = orientation
        name = f"exif_{orientation}.jpg"
        stored.save(folder / name, exif=exif, quality=95)
        found.append(Hostile(name, "changed" if orientation > 1 else None))
    return found


def misnamed(folder: Path) -> list[Hostile]:
    image = quarters()
    plain = ("with  two spaces.png", "new\nline.png", unicodedata.normalize("NFC", "Müßiggänger.png"))
    names = (*plain, unicodedata.normalize("NFD", "größer.png"), "SHOUT.PNG", os.fsdecode(b"latin\xe41.png"))
    for name in names:
        image.save(folder / name, "PNG")
    image.save(folder / "liar.jpg", "PNG")  # a PNG that says it is a JPEG
    (folder / "folder.png").mkdir(exist_ok=True)
    named = [Hostile(name, None) for name in names]
    return [*named, Hostile("liar.jpg", "changed"), Hostile("folder.png", NO_FILE, False)]


def out_of_reach(folder: Path) -> list[Hostile]:
    for name, target in (("gone.png", "nowhere.png"), ("circle.png", "circle.png")):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(target)
    forbidden = folder / "forbidden.png"
    forbidden.unlink(missing_ok=True)
    quarters().save(forbidden)
    forbidden.chmod(0)
    links = [Hostile(name, NO_FILE, False) for name in ("gone.png", "circle.png")]
    return [*links, Hostile("forbidden.png", "broken", False)]


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Do without root's right to read everything, as most do. The folder must be open to others."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def upright(pixels: np.ndarray, gray: bool = False, tolerance: float = 30) -> bool:
    """Whether (H, W, 3) uint8 shows `QUARTERS` the right way up."""
    height, width = pixels.shape[:2]
    for i, colour in enumerate(QUARTERS):
        row, column = divmod(i, 2)
        y, x = (4 * row + 1) * height // 8, (4 * column + 1) * width // 8
        part = pixels[y : y + height // 4, x : x + width // 4].reshape(-1, pixels.shape[2]).mean(0)
        wanted = np.array(colour, float)
        if gray:
            part, wanted = part.mean(), np.array([0.299, 0.587, 0.114]) @ wanted
        if np.abs(part - wanted).max() > tolerance:
            return False
    return True
