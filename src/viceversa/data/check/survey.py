"""Looking at all images of a data set, in several processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from viceversa.config import DataConfig
from viceversa.data.check.sight import Match, Sight, match, sight_of
from viceversa.data.datasets import DatasetSplits, FileSample, Sample, Split, open_each
from viceversa.data.image_data import ImageError, changes_colour, eight_bits, with_channels
from viceversa.data.image_io import FORMATS as SUFFIXES
from viceversa.data.image_io import header_orientation, open_pil, upright_size

Track: TypeAlias = Callable[[Iterable[Any], int], Iterable[Any]]
Part: TypeAlias = Literal["train", "test"]
FEW = 64  # so many images are looked at before other processes have started


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of one sample. Of a broken one that is its `error`; after a quick check there is no `sight`."""

    name: str
    error: str | None = None
    size: tuple[int, int] | None = None
    """Width and height."""
    mode: str = ""
    traits: tuple[str, ...] = ()
    """What is special about the file: animated, cmyk, misnamed, profile, transparent, turned."""
    sight: Sight | None = None


@dataclass(frozen=True)
class Unit:
    """What is decoded together: one sample, or a pair. `channels`: as the networks will see each."""

    samples: tuple[Sample, ...]
    channels: tuple[int, ...]
    quick: bool


@dataclass(frozen=True)
class Survey:
    """A data set, and a look at each of its images. `looks` and `matches` go by split and domain."""

    splits: DatasetSplits
    data: DataConfig
    quick: bool
    looks: dict[tuple[Part, str], list[Look]]
    matches: dict[Part, list[Match | None]]

    def domain(self, name: str) -> list[Look]:
        """Return the looks at all images of domain "A" or "B", training first."""
        return [*self.looks["train", name], *self.looks["test", name]]

    def every(self) -> list[Look]:
        """Return the looks at all images."""
        return [*self.domain("A"), *self.domain("B")]

    def sound(self, name: str) -> list[Look]:
        """Return those of a domain that could be opened."""
        return [look for look in self.domain(name) if look.error is None]


def names_of(looks: Sequence[Look]) -> tuple[str, ...]:
    """Return the names, each once: halves of one file share theirs."""
    return tuple(dict.fromkeys(look.name for look in looks))


def look_around(splits: DatasetSplits, data: DataConfig, quick: bool, track: Track) -> Survey:
    """Look at every image of a data set."""
    units: list[Unit] = []
    places: list[tuple[Part, str]] = []
    parts: dict[Part, Split] = {"train": splits.train, "test": splits.test}
    for part, split in parts.items():
        for domains, unit in _units(split, data, quick):
            units.append(unit)
            places.append((part, domains))
    looks: dict[tuple[Part, str], list[Look]] = {(part, domain): [] for part in parts for domain in "AB"}
    matches: dict[Part, list[Match | None]] = {part: [] for part in parts}
    for (part, domains), (seen, fit) in zip(places, track(_look_at_all(units), len(units)), strict=True):
        for domain, look in zip(domains, seen, strict=True):
            looks[part, domain].append(look)
        if len(domains) == 2:
            matches[part].append(fit)
    return Survey(splits, data, quick, looks, matches)


def _units(split: Split, data: DataConfig, quick: bool) -> Iterator[tuple[str, Unit]]:
    channels = {"A": data.channels_a, "B": data.channels_b}
    if split.paired:
        for a, b in zip(split.a, split.b, strict=True):
            yield "AB", Unit((a, b), (channels["A"], channels["B"]), quick)
    else:
        for domain, samples in (("A", split.a), ("B", split.b)):
            for sample in samples:
                yield domain, Unit((sample,), (channels[domain],), quick)


def _look_at_all(units: Sequence[Unit]) -> Iterator[tuple[list[Look], Match | None]]:
    processes = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    if processes == 1 or len(units) <= FEW:
        yield from map(look_at, units)
        return
    chunk = max(1, min(256, len(units) // (8 * processes)))
    with _pool(min(processes, 16)) as pool:
        try:
            yield from pool.map(look_at, units, chunksize=chunk)
        except BrokenProcessPool:
            raise ValueError("a process that opens images was killed, perhaps for want of memory") from None


@contextmanager
def _pool(processes: int) -> Iterator[Executor]:
    """Start processes as the stream does: forked where that is safe, since others take seconds to import torch."""
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forking beside the threads of a progress bar: harmless here
        pool = ProcessPoolExecutor(processes, context, initializer=_start)
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)


def _start() -> None:
    """Leave Ctrl-C to the main process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def look_at(unit: Unit) -> tuple[list[Look], Match | None]:
    """Look at the samples of a unit; runs in worker processes."""
    if unit.quick:
        return [_glance(sample) for sample in unit.samples], None
    looks: list[Look] = []
    seen: list[NDArray[np.uint8]] = []
    for sample, opened, channels in zip(unit.samples, open_each(unit.samples), unit.channels, strict=True):
        try:
            if isinstance(opened, ImageError):
                raise opened
            pixels = eight_bits(with_channels(opened, channels))
            header = read_header(sample)
            size = pixels.shape[1], pixels.shape[0]
            looks.append(Look(str(sample), None, size, header.mode, header.traits, sight_of(pixels)))
            seen.append(pixels)
        except ImageError as error:
            looks.append(Look(str(sample), str(error)))
    return looks, match(*seen) if len(seen) == 2 else None


def _glance(sample: Sample) -> Look:
    """Only the header; what has none is opened to learn why."""
    header = read_header(sample)
    if header.size is not None:
        return Look(str(sample), None, header.size, header.mode, header.traits)
    try:
        pixels = sample.open().pixels
    except ImageError as error:
        return Look(str(sample), str(error))
    return Look(str(sample), None, (pixels.shape[1], pixels.shape[0]))


@dataclass(frozen=True)
class Header:
    """What a file says of itself. `size` is upright, and of the half that is meant; None if there is no header."""

    size: tuple[int, int] | None = None
    mode: str = ""
    traits: tuple[str, ...] = ()


def read_header(sample: Sample) -> Header:
    """Read the header of an sample that is a file; of others nothing is known."""
    if not isinstance(sample, FileSample):
        return Header()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with open_pil(sample.path, sample.file) as image:
                width, height = upright_size(image)
                width = width if sample.half is None else width // 2
                return Header((width, height), image.mode, _traits(sample, image, header_orientation(image)))
    except Exception:  # whatever is wrong with it, opening the sample says so
        return Header()


def _traits(sample: FileSample, image: Image.Image, orientation: object) -> tuple[str, ...]:
    photo = image.format == "MPO"  # a camera's JPEG with a preview or a depth map behind it
    found: dict[str, Any] = {
        "animated": getattr(image, "n_frames", 1) > 1 and not photo,
        "cmyk": image.mode == "CMYK",
        "misnamed": SUFFIXES.get(sample.path.suffix.lower()) != ("JPEG" if photo else image.format),
        "profile": changes_colour(image),
        "transparent": image.has_transparency_data,
        "turned": orientation in range(2, 9),
    }
    return tuple(trait for trait, there in found.items() if there)
