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

from viceversa.config import DataConfig
from viceversa.data.check.look import Look, Match, Unit, look_at
from viceversa.data.datasets import DatasetSplits, Split

Track: TypeAlias = Callable[[Iterable[Any], int], Iterable[Any]]
Part: TypeAlias = Literal["train", "test"]
FEW = 64  # so many images are looked at before other processes have started


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
    if split.paired:
        yield from (("AB", Unit(pair, "AB", data, quick)) for pair in zip(split.a, split.b, strict=True))
    else:
        for domain, samples in (("A", split.a), ("B", split.b)):
            yield from ((domain, Unit((sample,), domain, data, quick)) for sample in samples)


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
