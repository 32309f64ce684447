"""The test images of a data set, and what a run's generators make of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from viceversa.config import Config, Direction, load_config
from viceversa.data import open_loader
from viceversa.data.image_data import from_tensor
from viceversa.data.image_io import to_image_data
from viceversa.paths import weights_file
from viceversa.translator import Translator

Uint8Image: TypeAlias = NDArray[np.uint8]  # (H, W, C)
COLUMNS = ("input", "AtoB", "BtoA", "cycle", "mask", "truth")
OPPOSITE: dict[Direction, Direction] = {"AtoB": "BtoA", "BtoA": "AtoB"}


@dataclass(frozen=True)
class Examples:
    """Inputs of one direction as the networks see them, and the ground truth of each, None where it is unknown."""

    inputs: list[Uint8Image]
    truths: list[Uint8Image | None]


def load_examples(config: Config, limit: int | None) -> dict[Direction, Examples]:
    """Return at most `limit` test images of each domain, evenly spread, or all.

    Raises ConfigError or FileNotFoundError when the data are not where the configuration says.
    """
    samples = open_loader(config).test_samples(limit)
    forth = [(s.a, s.b if s.paired else None) for s in samples]
    back = [(s.b, s.a if s.paired else None) for s in samples]
    return {"AtoB": _examples(forth), "BtoA": _examples(back)}


def _examples(pairs: Sequence[tuple[Tensor | None, Tensor | None]]) -> Examples:
    known = [(x, y) for x, y in pairs if x is not None]
    return Examples([from_tensor(x) for x, _ in known], [None if y is None else from_tensor(y) for _, y in known])


def configuration(run: Path) -> Config:
    """Return a run's configuration; raise FileNotFoundError or ValueError for a folder without weights."""
    weights_file(run)
    return load_config(run / "config.yaml")


def directions(run: Path) -> list[Direction]:
    """Return which ways a run translates."""
    return [way for way in OPPOSITE if (run / "weights" / f"{way}.safetensors").is_file()]


def translated(run: Path, direction: Direction, inputs: Sequence[Uint8Image]) -> list[Uint8Image]:
    """Return a run's translations, by its EMA weights."""
    translator = Translator.load(run, direction)
    return [translator.pixels(image) for image in inputs]


def columns_of(run: Path, names: Sequence[str], rows: int, pick: Sequence[int] = ()) -> dict[str, list[Uint8Image]]:
    """Return the named columns of test images: input, AtoB or BtoA, cycle (there and back), mask, truth.

    `pick` chooses images by their number in the test set, from 1, instead of `rows` evenly spread ones. Raises
    ValueError, with the remedy, for what the run or its data do not have.
    """
    config, direction = configuration(run), _direction(run, names)
    examples = _picked(load_examples(config, None if pick else rows)[direction], pick)
    return {name: _column(run, name, direction, examples) for name in names}


def _direction(run: Path, names: Sequence[str]) -> Direction:
    """Return the direction that the columns are about."""
    unknown = [name for name in names if name not in COLUMNS]
    if unknown or not names:
        raise ValueError(f"{', '.join(unknown) or 'no'}: no such column; there are {', '.join(COLUMNS)}")
    named: list[Direction] = [way for way in OPPOSITE if way in names]
    if len(named) > 1:
        raise ValueError("a figure shows one direction: AtoB or BtoA; make one for each")
    wanted = named[0] if named else directions(run)[0]
    if wanted not in directions(run):
        raise ValueError(f"{run}: translates {' and '.join(directions(run))}, not {wanted}")
    return wanted


def _picked(examples: Examples, pick: Sequence[int]) -> Examples:
    if not pick:
        return examples
    if max(pick) > len(examples.inputs) or min(pick) < 1:
        raise ValueError(f"there are {len(examples.inputs)} test images, from 1 on; {max(pick)} is not among them")
    return Examples([examples.inputs[n - 1] for n in pick], [examples.truths[n - 1] for n in pick])


def _column(run: Path, name: str, direction: Direction, examples: Examples) -> list[Uint8Image]:
    if name == "truth":
        known = [truth for truth in examples.truths if truth is not None]
        if len(known) < len(examples.truths):
            raise ValueError(f"{run}: the ground truth is not known; omit the column truth")
        return known
    if name == "mask":
        return masks(run, direction, examples.inputs)
    if name == "cycle":
        if OPPOSITE[direction] not in directions(run):
            raise ValueError(f"{run}: does not translate back; omit the column cycle")
        return translated(run, OPPOSITE[direction], translated(run, direction, examples.inputs))
    return examples.inputs if name == "input" else translated(run, direction, examples.inputs)


def masks(run: Path, direction: Direction, inputs: Sequence[Uint8Image]) -> list[Uint8Image]:
    """Return where a run's generator paints; raise ValueError if it does not tell."""
    translator = Translator.load(run, direction)
    if not translator.has_mask:
        raise ValueError(f"{run}: its generator has no attention mask to show; omit the column mask")
    return [translator.mask(to_image_data(image)) for image in inputs]
