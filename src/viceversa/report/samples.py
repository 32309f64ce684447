"""The samples of a run for a page: test images and their translations from step to step, as data URIs.

An image is encoded once in the life of a process, so a page that is written again costs the samples of one new step.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from viceversa.config import Direction
from viceversa.engine.run_dir import RunRecord
from viceversa.engine.sample_history import Key, Kind, read_samples

SIDE = 256  # pixels of an image's longer side on the page
STEPS = 24  # frames of a film
ROWS = 8  # test images of a direction
T = TypeVar("T")


@dataclass(frozen=True)
class EmbeddedImage:
    """An image that a page carries in itself."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Frame:
    """The images of one step, of at most ROWS test images of each direction. `psnr`, by direction: to the ground truth,
    in dB, of the translations and of the untranslated inputs, means over all test images; and their number."""

    step: int
    images: Mapping[Key, EmbeddedImage]
    psnr: Mapping[Direction, tuple[float, float, int]]


@dataclass(frozen=True)
class Film:
    """One test image (`stills`: its input, and its ground truth, mask and translation back as far as there are any) and
    its translations from step to step."""

    number: int
    stills: Mapping[Kind, EmbeddedImage]
    frames: list[tuple[int, EmbeddedImage]]


def read_frames(record: RunRecord) -> list[Frame]:
    """Return frames evenly spread over the training, the last one among them."""
    folder = record.run / "samples"
    frames = [_frame(folder, step, _changed(folder, step)) for step in spread(record.sample_steps, STEPS)]
    return [frame for frame in frames if any(key.kind == "translation" for key in frame.images)]


def films(frames: Sequence[Frame]) -> dict[Direction, list[Film]]:
    """Return a film of each test image that was translated at the last step, by direction."""
    found: dict[Direction, list[Film]] = {}
    for key in frames[-1].images if frames else ():
        stills = {other.kind: image for other, image in frames[-1].images.items() if other[:2] == key[:2]}
        if key.kind == "translation" and "input" in stills:
            shown = [(frame.step, frame.images[key]) for frame in frames if key in frame.images]
            found.setdefault(key.direction, []).append(Film(key.row + 1, stills, shown))
    return found


def spread(items: Sequence[T], count: int) -> list[T]:
    """Return at most `count` items, evenly spread, the first and the last among them."""
    if len(items) <= count:
        return list(items)
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]


def embed(image: Image.Image, side: int = SIDE) -> EmbeddedImage:
    """Return an image, shrunk to `side` if it is larger, as WebP in a data URI."""
    image = image.copy()
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "WEBP", quality=88, method=4)
    return EmbeddedImage(f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}", *image.size)


def _changed(folder: Path, step: int) -> tuple[int, ...]:
    """Return when the test images and the samples of a step were written; 0 for those that are gone meanwhile."""
    folders = [folder / "inputs", folder / f"step-{step:08d}"]
    return tuple(path.stat().st_mtime_ns if path.is_dir() else 0 for path in folders)


@lru_cache(maxsize=4 * STEPS)
def _frame(folder: Path, step: int, _changed: tuple[int, ...]) -> Frame:
    images = read_samples(folder, step)
    pairs: dict[Direction, list[tuple[float, float]]] = {}
    for key, fake in images.items():
        before, truth = (images.get(Key(key.direction, key.row, kind)) for kind in ("input", "truth"))
        if key.kind == "translation" and before and truth and before.size == truth.size == fake.size:
            pairs.setdefault(key.direction, []).append((_psnr(fake, truth), _psnr(before, truth)))
    psnr = {direction: (*np.mean(values, axis=0).tolist(), len(values)) for direction, values in pairs.items()}
    rows = {way: spread(sorted({key.row for key in images if key.direction == way}), ROWS) for way in ("AtoB", "BtoA")}
    return Frame(step, {key: embed(i) for key, i in images.items() if key.row in rows[key.direction]}, psnr)


def _psnr(image: Image.Image, truth: Image.Image) -> float:
    from viceversa.metrics.paired import psnr  # here, as a training whose ground truth is unknown needs no metrics

    return psnr(np.asarray(image), np.asarray(truth))
