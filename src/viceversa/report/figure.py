"""Test images and what a run's generators make of them; and a figure for a paper, as PNG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from viceversa.config import Config, Direction, load_config
from viceversa.data import find_splits
from viceversa.data.eval_set import EvalSet
from viceversa.data.grid import grid
from viceversa.data.image_data import ImageData, from_tensor
from viceversa.files import replacing
from viceversa.paths import directions
from viceversa.report import readable
from viceversa.translator import Translator

Uint8Image: TypeAlias = NDArray[np.uint8]  # (H, W, C)
Pair: TypeAlias = tuple[Uint8Image, Uint8Image | None]  # an input, and its ground truth if that is known
OPPOSITE: dict[Direction, Direction] = {"AtoB": "BtoA", "BtoA": "AtoB"}
LABELS = {
    **{"input": "input", "AtoB": "A to B", "BtoA": "B to A", "cycle": "there and back"},
    **{"mask": "mask", "truth": "ground truth"},
}


def load_pairs(config: Config, limit: int | None) -> dict[Direction, list[Pair]]:
    """Return at most `limit` test images of each domain as the networks see them, evenly spread, or all."""
    samples = EvalSet(find_splits(config.data), config).samples(limit)
    forth = [(s.a, s.b if s.paired else None) for s in samples]
    back = [(s.b, s.a if s.paired else None) for s in samples]
    return {"AtoB": _pairs(forth), "BtoA": _pairs(back)}


def _pairs(tensors: Sequence[tuple[Tensor | None, Tensor | None]]) -> list[Pair]:
    return [(from_tensor(x), None if y is None else from_tensor(y)) for x, y in tensors if x is not None]


def translated(run: Path, direction: Direction, inputs: Sequence[Uint8Image]) -> list[Uint8Image]:
    """Return a run's translations, by its EMA weights."""
    translator = Translator.load(run, direction)
    return [translator.translate(ImageData(image)).pixels for image in inputs]


def columns_of(run: Path, names: Sequence[str], rows: int, pick: Sequence[int] = ()) -> dict[str, list[Uint8Image]]:
    """Return the named columns of test images: input, AtoB or BtoA, cycle (there and back), mask, truth.

    `pick` chooses images by their number in the test set, from 1, instead of `rows` evenly spread ones.
    """
    direction = _direction(run, names)
    pairs = load_pairs(load_config(run / "config.yaml"), None if pick else rows)[direction]
    if pick:
        if max(pick) > len(pairs) or min(pick) < 1:
            wrong = next(number for number in pick if not 1 <= number <= len(pairs))
            raise ValueError(f"there are {len(pairs)} test images, counted from 1; {wrong} is not among them")
        pairs = [pairs[number - 1] for number in pick]
    return {name: _column(run, name, direction, pairs) for name in names}


def _direction(run: Path, names: Sequence[str]) -> Direction:
    """Return the direction that the columns are about."""
    unknown = [name for name in names if name not in LABELS]
    if unknown or not names:
        raise ValueError(f"{', '.join(unknown) or 'no'}: no such column; there are {', '.join(LABELS)}")
    named: list[Direction] = [way for way in OPPOSITE if way in names]
    if len(named) > 1:
        raise ValueError("a figure shows one direction: AtoB or BtoA; make one for each")
    wanted = named[0] if named else directions(run)[0]
    if wanted not in directions(run):
        raise ValueError(f"{run}: translates {' and '.join(directions(run))}, not {wanted}")
    return wanted


def _column(run: Path, name: str, direction: Direction, pairs: Sequence[Pair]) -> list[Uint8Image]:
    inputs = [x for x, _ in pairs]
    if name == "input":
        return inputs
    if name == "truth":
        known = [y for _, y in pairs if y is not None]
        if len(known) < len(pairs):
            raise ValueError(f"{run}: the ground truth is not known; omit the column truth")
        return known
    if name == "mask":
        translator = Translator.load(run, direction)
        if not translator.has_mask:
            raise ValueError(f"{run}: its generator has no attention mask to show; omit the column mask")
        return [translator.mask(ImageData(image)) for image in inputs]
    if name == "cycle":
        if OPPOSITE[direction] not in directions(run):
            raise ValueError(f"{run}: does not translate back; omit the column cycle")
        return translated(run, OPPOSITE[direction], translated(run, direction, inputs))
    return translated(run, direction, inputs)


def labelled(columns: Mapping[str, Sequence[Uint8Image]], texts: Sequence[str]) -> dict[str, Sequence[Uint8Image]]:
    """Return columns under these labels, or the usual ones; ValueError unless there are as many, all different."""
    texts = texts or [LABELS[name] for name in columns]
    if len(set(texts)) != len(columns):
        raise ValueError(f"{','.join(texts)}: {len(columns)} columns need as many different labels")
    return dict(zip(map(readable, texts), columns.values(), strict=True))


def numbers(text: str) -> list[int]:
    """Return the numbers of `3,7`; raise ValueError for anything else."""
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise ValueError(f"{text}: pick test images by number, such as 3,7") from None


def write(
    path: Path, columns: Mapping[str, Sequence[Uint8Image]], *, width: float = 6.9, dpi: int = 300
) -> Image.Image:
    """Write labelled columns of uint8 images as a PNG that is `width` inches wide in print, at `dpi` pixels or more.

    Images are enlarged by whole pixels, so that none is lost.
    """
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path}: a figure is a .png")
    longest = max(max(image.shape[:2]) for images in columns.values() for image in images)
    side = longest * math.ceil(width * dpi / len(columns) / longest)
    figure = grid(columns, gap=max(1, side // 64), side=side)
    own = figure.width / width
    with replacing(path) as temporary:
        figure.save(temporary, "PNG", dpi=(own, own), optimize=True)
    return figure
