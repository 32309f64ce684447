"""What `translate` reads of a file besides pixels: its metadata, and whether it holds several images."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import ImageCms

from viceversa.data.image_data import ImageData, ImageError, in_16_bits, pil_image
from viceversa.data.image_io import FORMATS, open_pil, read_image, write_image
from viceversa.translate.files import is_video

log = logging.getLogger("viceversa")
ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
"""Formats whose further images are an animation."""
KEPT = {270, 271, 272, 282, 283, 296, 305, 306, 315, 33432, 0x8769, 0x8825}
"""Tags of EXIF that still hold: description, camera, resolution, date, rights, details, place; no orientation."""
PROFILED = ("AVIF", "JPEG", "PNG", "TIFF", "WEBP")
PAGES = ("TIFF",)
"""Formats whose further images are pages."""
MORE_BITS = {b"av1C": (6, 0x40), b"hvcC": (21, 0x07), b"\xff\x4f\xff\x51": (42, 0x78)}
"""Where AVIF, HEIC and JPEG 2000 say that they have more than 8 bits: which bits of which byte from a mark on."""


@dataclass(frozen=True)
class Metadata:
    """What is kept of a file besides its pixels; empty if there is none."""

    exif: bytes = b""
    """Without the orientation, as the pixels are turned."""
    profile: bytes = b""
    deep: bool = False
    """Whether the pixels have more than 8 bits; others were converted from the profile to sRGB when they were read."""


def read_source(path: Path) -> ImageData:
    """Read an image; ImageError as of `read_image`, and for several pages. Lost bits are told."""
    count, kind = count_images(path)
    if count > 1 and kind in PAGES:
        raise ImageError(f"{path}: holds {count} pages, of which only one would be written; split it")
    image = read_image(path)
    with path.open("rb") as file:
        head = file.read(4096)
    for mark, (place, bits) in MORE_BITS.items():
        if image.pixels.dtype == np.uint8 and mark in head and head[head.index(mark) :][place] & bits:
            log.warning("%s: has more than 8 bits, and is read with 8; 16-bit PNG or TIFF would keep them", path)
    return image


def count_images(path: Path) -> tuple[int, str]:
    """Return how many images a file holds, and its format; (1, "") if that cannot be told."""
    try:
        with open_pil(path, path.name) as image:
            return int(getattr(image, "n_frames", 1)), image.format or ""
    except Exception:  # as above; whoever reads the image will say why
        return 1, ""


def is_clip(path: Path) -> bool:
    """Whether a file is a video or an animation."""
    if is_video(path):
        return True
    count, kind = count_images(path)
    return count > 1 and kind in ANIMATED


def read_metadata(path: Path) -> Metadata:
    """Return what a file says of its image; nothing if that cannot be told."""
    try:
        with open_pil(path, path.name) as image:
            exif = image.getexif()
            for tag in set(exif) - KEPT:
                del exif[tag]
            deep = image.mode.startswith("I") or any("16" in str(tile.args) for tile in image.tile)
            profile = image.info.get("icc_profile") or b""
            return Metadata(exif.tobytes() if len(exif) else b"", profile, deep)
    except Exception:  # metadata are often broken, and no reason to refuse an image
        return Metadata()


def write_translation(path: Path, image: ImageData, metadata: Metadata) -> None:
    """Write a translation as deep, and in the profile, as its input was, with what is kept of that one's metadata."""
    image, profile = in_profile(in_16_bits(image), metadata, path)
    write_image(path, image.pixels, image.alpha, image.gray, exif=metadata.exif, profile=profile)


def in_profile(image: ImageData, metadata: Metadata, path: Path) -> tuple[ImageData, bytes]:
    """Return a translation in the profile of its input, and that; as it is and b"" if it or its file cannot have it."""
    if FORMATS.get(path.suffix.lower()) not in PROFILED:
        return image, b""
    try:
        source = ImageCms.getOpenProfile(BytesIO(metadata.profile))
        if source.profile.xcolor_space.strip() != {1: "GRAY", 3: "RGB"}.get(image.pixels.shape[2]):
            return image, b""
        if metadata.deep or "sRGB" in ImageCms.getProfileDescription(source):
            return image, metadata.profile
        converted = ImageCms.profileToProfile(pil_image(image.pixels), ImageCms.createProfile("sRGB"), source)
        return replace(image, pixels=np.asarray(converted).reshape(image.pixels.shape)), metadata.profile
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):  # there is none, or it is broken
        return image, b""
