"""What the header of a picture file tells without decoding it: size, mode, and what is special about it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

from PIL import Image

from viceversa.data.datasets import FileSample, Sample
from viceversa.data.image_io import EXIF_ORIENTATION, READABLE, changes_colour
from viceversa.data.image_io import FORMATS as SUFFIXES


@dataclass(frozen=True)
class Header:
    """What a file says of itself. `size` is upright, and of the half that is meant; None if there is no header."""

    size: tuple[int, int] | None = None
    mode: str = ""
    traits: tuple[str, ...] = ()


def read_header(item: Sample) -> Header:
    """Read the header of an item that is a file; of others nothing is known."""
    if not isinstance(item, FileSample):
        return Header()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(item.path, formats=READABLE) as image:
                width, height = image.size
                # Image's own getexif: PNG's decodes the whole picture to look for what may follow it.
                orientation = Image.Image.getexif(image).get(EXIF_ORIENTATION, 1)
                if orientation in (5, 6, 7, 8):
                    width, height = height, width
                width = width if item.half is None else width // 2
                return Header((width, height), image.mode, _traits(item, image, orientation))
    except Exception:  # whatever is wrong with it, opening the item says so
        return Header()


def _traits(item: FileSample, image: Image.Image, orientation: object) -> tuple[str, ...]:
    photo = image.format == "MPO"  # a camera's JPEG with a preview or a depth map behind it
    found: dict[str, Any] = {
        "animated": getattr(image, "n_frames", 1) > 1 and not photo,
        "cmyk": image.mode == "CMYK",
        "misnamed": SUFFIXES.get(item.path.suffix.lower()) != ("JPEG" if photo else image.format),
        "profile": changes_colour(image),
        "transparent": image.has_transparency_data,
        "turned": orientation in range(2, 9),
    }
    return tuple(trait for trait, there in found.items() if there)
