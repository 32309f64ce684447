"""Looking at all pictures of a data set, in several processes."""

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
FEW = 64  # so many pictures are looked at before other processes have started


@dataclass(frozen=True)
class Survey:
    """A data set, and a look at each of its pictures. `looks` and `matches` go by split and world."""

    source: DatasetSplits
    data: DataConfig
    quick: bool
    looks: dict[tuple[Part, str], list[Look]]
    matches: dict[Part, list[Match | None]]

    def world(self, name: str) -> list[Look]:
        """Return the looks at all pictures of world "A" or "B", training first."""
        return [*self.looks["train", name], *self.looks["test", name]]

    def every(self) -> list[Look]:
        """Return the looks at all pictures."""
        return [*self.world("A"), *self.world("B")]

    def sound(self, name: str) -> list[Look]:
        """Return those of a world that could be opened."""
        return [look for look in self.world(name) if look.error is None]


def look_around(source: DatasetSplits, data: DataConfig, quick: bool, track: Track) -> Survey:
    """Look at every item of a data set."""
    units: list[Unit] = []
    places: list[tuple[Part, str]] = []
    splits: dict[Part, Split] = {"train": source.train, "test": source.test}
    for part, split in splits.items():
        for worlds, unit in _units(split, data, quick):
            units.append(unit)
            places.append((part, worlds))
    looks: dict[tuple[Part, str], list[Look]] = {(part, world): [] for part in splits for world in "AB"}
    matches: dict[Part, list[Match | None]] = {part: [] for part in splits}
    for (part, worlds), (seen, match) in zip(places, track(_look_at_all(units), len(units)), strict=True):
        for world, look in zip(worlds, seen, strict=True):
            looks[part, world].append(look)
        if len(worlds) == 2:
            matches[part].append(match)
    return Survey(source, data, quick, looks, matches)


def _units(split: Split, data: DataConfig, quick: bool) -> Iterator[tuple[str, Unit]]:
    channels = {"A": data.channels_a, "B": data.channels_b}
    if split.paired:
        for a, b in zip(split.a, split.b, strict=True):
            yield "AB", Unit((a, b), (channels["A"], channels["B"]), quick)
    else:
        for world, items in (("A", split.a), ("B", split.b)):
            for item in items:
                yield world, Unit((item,), (channels[world],), quick)


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
            raise ValueError("a process that opens pictures was killed, perhaps for want of memory") from None


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
