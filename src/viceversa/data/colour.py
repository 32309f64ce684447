"""Colour profiles: from the colours that a file means to sRGB."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from functools import lru_cache
from io import BytesIO

from PIL import Image, ImageCms

LARGEST_PROFILE = 2**26  # bytes


def changes_colour(image: Image.Image) -> bool:
    """Whether reading an image converts its colours: it has a profile that works and is not sRGB."""
    profile = image.info.get("icc_profile")
    mode = image.mode if image.mode in ("L", "CMYK") else "RGB"
    return bool(profile) and _transform(profile, mode) is not None


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


def png_without_text(content: bytes) -> tuple[bytes, bytes | None]:
    """Return a PNG without its texts and profile, which may be larger than Pillow takes, and the profile."""
    kept, place, profile = [content[:8]], 8, None
    while place + 8 <= len(content):
        length, kind = struct.unpack(">I4s", content[place : place + 8])
        chunk = content[place : place + 12 + length]
        place += 12 + length
        if kind == b"iCCP":
            packed = chunk[8:-4].partition(b"\0")[2][1:]
            with suppress(zlib.error):
                profile = zlib.decompressobj().decompress(packed, LARGEST_PROFILE)
        elif kind not in (b"tEXt", b"zTXt", b"iTXt"):
            kept.append(chunk)
    return b"".join(kept), profile
