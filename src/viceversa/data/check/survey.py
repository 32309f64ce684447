"""Looking at all images of a data set, in several processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

from viceversa.config import DataConfig
from viceversa.data.check.look import CheckUnit, Look, Match, look_at
from viceversa.data.datasets import DatasetSplits, Split
from viceversa.files import Track

Part: TypeAlias = Literal["train", "test"]
FEW = 64  # so many images are looked at before other processes have started


@dataclass(frozen=True)
class Survey:
    """A data set, and a look at each of its images, by split and domain; of pairs also how well they match."""

    splits: DatasetSplits
    data: DataConfig
    looks: dict[tuple[Part, str], list[Look]]
    pairs: list[tuple[Look, Look, Match | None]]

    def domain(self, name: str) -> list[Look]:
        """Return the looks at all images of domain "A" or "B", training first."""
        return [*self.looks["train", name], *self.looks["test", name]]

    def every(self) -> list[Look]:
        """Return the looks at all images."""
        return [*self.domain("A"), *self.domain("B")]

    def sound(self, name: str) -> list[Look]:
        """Return those of a domain that could be opened."""
        return [look for look in self.domain(name) if look.error is None]


def look_around(splits: DatasetSplits, data: DataConfig, quick: bool, track: Track) -> Survey:
    """Look at every image of a data set."""
    parts: dict[Part, Split] = {"train": splits.train, "test": splits.test}
    jobs = [
        (part, CheckUnit(samples, domains, data, quick))
        for part, split in parts.items()
        for domains, samples in split.units()
    ]
    looks: dict[tuple[Part, str], list[Look]] = {(part, domain): [] for part in parts for domain in "AB"}
    pairs: list[tuple[Look, Look, Match | None]] = []
    done = track(_look_at_all([unit for _, unit in jobs]), len(jobs))
    for (part, unit), (seen, fit) in zip(jobs, done, strict=True):
        for domain, look in zip(unit.domains, seen, strict=True):
            looks[part, domain].append(look)
        if len(seen) == 2:
            pairs.append((seen[0], seen[1], fit))
    return Survey(splits, data, looks, pairs)


def _look_at_all(units: Sequence[CheckUnit]) -> Iterator[tuple[list[Look], Match | None]]:
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
