"""The test pictures of a data set, and what a run's translators make of them."""

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

Pixels: TypeAlias = NDArray[np.uint8]
OPPOSITE: dict[Direction, Direction] = {"AtoB": "BtoA", "BtoA": "AtoB"}


@dataclass(frozen=True)
class Exam:
    """Inputs of one direction as the networks see them, (H, W, C), and their true answers, None where unknown."""

    inputs: list[Pixels]
    truths: list[Pixels | None]


def exams(config: Config, limit: int | None) -> dict[Direction, Exam]:
    """Return at most `limit` test pictures of each world, evenly spread, or all.

    Raises ConfigError or FileNotFoundError when the data are not where the configuration says.
    """
    samples = open_loader(config).test_samples(limit)
    forth = [(s.a, s.b if s.paired else None) for s in samples]
    back = [(s.b, s.a if s.paired else None) for s in samples]
    return {"AtoB": _exam(forth), "BtoA": _exam(back)}


def _exam(pairs: Sequence[tuple[Tensor | None, Tensor | None]]) -> Exam:
    known = [(one, other) for one, other in pairs if one is not None]
    return Exam([from_tensor(one) for one, _ in known], [None if o is None else from_tensor(o) for _, o in known])


def configuration(run: Path) -> Config:
    """Return a run's configuration; raise FileNotFoundError or ValueError for a folder without weights."""
    weights_file(run)
    return load_config(run / "config.yaml")


def directions(run: Path) -> list[Direction]:
    """Return which ways a run translates."""
    return [way for way in OPPOSITE if (run / "weights" / f"{way}.safetensors").is_file()]


def translated(run: Path, direction: Direction, inputs: Sequence[Pixels]) -> list[Pixels]:
    """Return a run's translations, by its averaged weights."""
    translator = Translator.load(run, direction)
    return [translator.pixels(picture) for picture in inputs]


def masks(run: Path, direction: Direction, inputs: Sequence[Pixels]) -> list[Pixels]:
    """Return where a run paints; raise ValueError if its generator does not tell."""
    translator = Translator.load(run, direction)
    if not translator.has_mask:
        raise ValueError(f"{run}: its generator has no attention mask to show; leave the column mask away")
    return [translator.mask(to_image_data(picture)) for picture in inputs]
