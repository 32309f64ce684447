"""Pictures for a page: the sample sheets of a run, cut up, shrunk where they are large, as data URIs.

A sheet is cut and encoded once in the life of a process, so a page that is written again costs one new sheet.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
from PIL import Image

from viceversa.data.sheet import read_sheet
from viceversa.metrics import psnr

SIDE = 256  # pixels of a picture's longer side on the page
STEPS = 24  # steps that a film shows
ROWS = 8  # fixed pictures of a direction
BUDGET = 11_000_000  # characters of all pictures together; mail servers refuse more than some 15 MB
T = TypeVar("T")
Key: TypeAlias = tuple[str, str, int]  # direction, kind, row


@dataclass(frozen=True)
class Picture:
    """An image that a page carries in itself."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Frame:
    """All pictures of a sample sheet. `closeness`: PSNR to the true answer in dB, by direction and row, of the
    translation and of the untouched input."""

    step: int
    pictures: Mapping[Key, Picture]
    closeness: Mapping[tuple[str, int], tuple[float, float]]


@dataclass(frozen=True)
class Exhibit:
    """One fixed picture, and what the translator made of it from step to step."""

    direction: str
    number: int
    input: Picture
    truth: Picture | None
    back: Picture | None
    mask: Picture | None
    film: list[tuple[int, Picture]]

    @property
    def translation(self) -> Picture:
        """The newest."""
        return self.film[-1][1]


def frames(sheets: Mapping[int, Path]) -> list[Frame]:
    """Return sheets evenly spread over the training, the last one among them, as many as a page can carry."""
    count = STEPS
    while True:
        chosen = _read(sheets, spread(sorted(sheets), count))
        if count <= 2 or sum(len(p.uri) for frame in chosen for p in frame.pictures.values()) <= BUDGET:
            return chosen
        count //= 2


def exhibits(films: Sequence[Frame]) -> dict[str, list[Exhibit]]:
    """Return the fixed pictures by direction, as the last sheet has them."""
    found: dict[str, list[Exhibit]] = {}
    last = films[-1].pictures if films else {}
    for direction, kind, row in last:
        if kind == "translation":
            film = [
                (frame.step, frame.pictures[key])
                for frame in films
                if (key := (direction, kind, row)) in frame.pictures
            ]
            others = {kind: last.get((direction, kind, row)) for kind in ("truth", "back", "mask")}
            exhibit = Exhibit(direction, row + 1, last[direction, "input", row], film=film, **others)
            found.setdefault(direction, []).append(exhibit)
    return {direction: spread(rows, ROWS) for direction, rows in found.items()}


def spread(items: Sequence[T], count: int) -> list[T]:
    """Return at most `count` items, evenly spread, the first and the last among them."""
    if len(items) <= count:
        return list(items)
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]


def embed(image: Image.Image, side: int = SIDE) -> Picture:
    """Return an image, shrunk to `side` if it is larger, as WebP in a data URI."""
    image = image.copy()
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "WEBP", quality=88, method=4)
    return Picture(f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}", *image.size)


def _read(sheets: Mapping[int, Path], steps: Sequence[int]) -> list[Frame]:
    return [_frame(step, sheets[step], sheets[step].stat().st_mtime_ns) for step in steps]


@lru_cache(maxsize=4 * STEPS)
def _frame(step: int, path: Path, _changed: int) -> Frame:
    cells: dict[Key, Image.Image] = {(cell.direction, cell.kind, cell.row): cell.image for cell in read_sheet(path)}
    pictures = {key: embed(image) for key, image in cells.items()}
    closeness = {
        (direction, row): (
            _psnr(cells[direction, "translation", row], truth),
            _psnr(cells[direction, "input", row], truth),
        )
        for (direction, kind, row), truth in cells.items()
        if kind == "truth"
    }
    return Frame(step, pictures, closeness)


def _psnr(image: Image.Image, truth: Image.Image) -> float:
    return psnr(np.asarray(image), np.asarray(truth))
