"""Processes that read in the background: how many there is room for, starting them, noticing that one was killed."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from viceversa.config import Config

ATTEMPTS = 3
PREFETCH = 2  # batches that each worker is ahead
PATIENCE = 5  # seconds between looks whether the workers are still there
SHARED_MEMORY = "/dev/shm"

T = TypeVar("T")
log = logging.getLogger("viceversa")


def affordable_workers(config: Config) -> int:
    """Return `data.workers`, or 0 with a warning if there is no room for their batches, which travel in shared memory.

    Without room the workers' writing fails, and the training would wait for ever. Containers have 64 MB by default.
    """
    data = config.data
    if not data.workers or sys.platform != "linux":
        return data.workers
    channels = (data.channels_a, data.channels_b)
    bytes_each = sum(count * (1 if count in (1, 3, 4) else 4) for count in channels)
    needed = config.train.batch * data.crop**2 * bytes_each * (data.workers * PREFETCH + 2)
    room = shared_memory()
    if room >= needed:
        return data.workers
    log.warning(
        "%s has %d MB of room, and data.workers=%d need %d MB: pictures are read in the training process instead; "
        "containers get more by --shm-size=1g",
        *(SHARED_MEMORY, room // 2**20, data.workers, -(-needed // 2**20)),
    )
    return 0


def shared_memory() -> int:
    """Return how many bytes of shared memory are free."""
    try:
        found = os.statvfs(SHARED_MEMORY)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize


def start_workers(
    dataset: Dataset[Any], sampler: Iterable[list[Any]], collate: Callable[[list[Any]], T], workers: int, pinned: bool
) -> Iterator[T]:
    """Return an iterator over the joined batches of `sampler`, read by so many processes, or by this one if 0."""
    with warnings.catch_warnings(), _own_sigchld():
        # Forking beside the threads of a progress bar, or more workers than cores: known, and harmless here.
        warnings.simplefilter("ignore")
        loader: DataLoader[T] = DataLoader(
            dataset,
            batch_sampler=sampler,
            num_workers=workers,
            collate_fn=collate,
            worker_init_fn=_prepare,
            pin_memory=pinned,
            timeout=PATIENCE if workers else 0,
            prefetch_factor=PREFETCH if workers else None,
            # Without its own generator the loader would draw from torch's, and workers would change the training.
            generator=torch.Generator(),
            # Spawned workers take seconds to import torch, and need a __main__ guard in users' scripts.
            multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
        )
        return iter(loader)


@contextmanager
def _own_sigchld() -> Iterator[None]:
    """Keep torch's handler of SIGCHLD out: it would raise an error for a killed worker in the middle of a step."""
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGCHLD)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before)


def _prepare(_: int) -> None:
    """Prepare a worker: signals are the training process's to handle, and workers share the cores with it.

    SLURM and Ctrl-C signal every process. A worker that died of it would take the training along before it has saved;
    so it stays, for a minute after a SIGTERM, which is also what ends it when the training has gone.
    """
    for name in {"SIGINT", "SIGUSR1", "SIGHUP"} & signal.Signals.__members__.keys():
        signal.signal(signal.Signals[name], signal.SIG_IGN)
    if sys.platform != "win32":
        signal.signal(signal.SIGTERM, lambda *_: signal.alarm(60))
    torch.set_num_threads(1)


def was_killed(error: Exception) -> bool:
    """Whether an error of a loader says that a worker has died, and not what went wrong in its code."""
    return not str(error).startswith("Caught ")


def has_stalled(error: Exception) -> bool:
    """Whether an error of a loader says that all workers are alive, and nothing has come from them for a while."""
    return "timed out after" in str(error)
