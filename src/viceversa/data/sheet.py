"""A sheet of samples: a labelled grid as PNG that says itself, in a text chunk, what lies where.

So a person looks at it, and a program takes any picture out of it again, unharmed, without a second copy on the disk.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import BaseModel, Field

from viceversa.data.grid import grid, places, side_of
from viceversa.data.image_data import ImageError
from viceversa.files import replacing

CHUNK = "viceversa-samples"
Kind: TypeAlias = Literal["input", "translation", "mask", "back", "truth"]


@dataclass(frozen=True)
class Column:
    """What one direction of translating ("AtoB") makes of the test pictures: one kind of picture, a row for each.

    Pictures are uint8 (H, W, C); None where there is none.
    """

    direction: str
    kind: Kind
    pictures: Sequence[NDArray[np.uint8] | None]

    @property
    def label(self) -> str:
        """The words above the column."""
        source, target = self.direction.split("to")
        words = {"input": f"input {source}", "translation": self.direction, "mask": f"mask {self.direction}"}
        return {**words, "back": f"back to {source}", "truth": f"true {target}"}[self.kind]

    @property
    def empty(self) -> bool:
        """Whether there is no picture in it."""
        return all(picture is None for picture in self.pictures)


@dataclass(frozen=True)
class Cell:
    """One picture of a sheet."""

    direction: str
    kind: Kind
    row: int
    image: Image.Image


Place = Annotated[int, Field(ge=0, le=2**20)]
Side = Annotated[int, Field(ge=1, le=2**17)]


class _Note(BaseModel):
    """What the text chunk of a sheet must say."""

    side: Side
    cells: list[tuple[Literal["AtoB", "BtoA"], Kind, Place, Place, Place, Side, Side]]


def write_sheet(path: Path, columns: Sequence[Column]) -> None:
    """Write a sheet of the columns that hold something, directions apart."""
    shown = [column for column in columns if not column.empty]
    named: dict[str, Sequence[NDArray[np.uint8] | None]] = {}
    for before, column in zip([None, *shown], shown, strict=False):
        if before and before.direction != column.direction:
            named[" "] = []
        named[column.label] = column.pictures
    side, corners = side_of(named), places(named)
    cells = [
        [column.direction, column.kind, row, *corners[column.label][row], picture.shape[1], picture.shape[0]]
        for column in shown
        for row, picture in enumerate(column.pictures)
        if picture is not None
    ]
    note = PngInfo()
    note.add_text(CHUNK, json.dumps({"side": side, "cells": cells}))
    with replacing(path) as temporary:
        grid(named).save(temporary, format="PNG", pnginfo=note)


def read_sheet(path: Path) -> list[Cell]:
    """Return the pictures of a sheet at the size they had; none for a PNG that is no sheet.

    Raises ImageError for what cannot be read, or claims to hold what it cannot hold.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.load()
            note = _Note.model_validate_json(image.info.get(CHUNK, '{"side": 1, "cells": []}'))
            if note.side > max(image.size) or sum(w * h for *_, w, h in note.cells) > image.width * image.height:
                raise ValueError("it is too small for what it says that it holds")
            return [
                Cell(direction, kind, row, _cut(image, left, top, (width, height), note.side))
                for direction, kind, row, left, top, width, height in note.cells
            ]
    except FileNotFoundError:
        raise
    except Exception as error:  # on damaged files Pillow raises nearly anything
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ImageError(f"{path}: not a sheet of samples ({reason}); delete it") from None


def _cut(image: Image.Image, left: int, top: int, size: tuple[int, int], side: int) -> Image.Image:
    """Undo what `grid` did to a picture of `size` to bring its longer side to `side` and into the middle."""
    scale = side / max(size)
    width, height = (max(1, round(length * scale)) for length in size)
    left, top = left + (side - width) // 2, top + (side - height) // 2
    return image.crop((left, top, left + width, top + height)).resize(size, Image.Resampling.NEAREST)
