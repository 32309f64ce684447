"""Batches to train on, from any step on.

Draw number g decides everything: which images, which crop, which flip. It follows from the seed and g alone. Each
domain (or the pairs) is an endless sequence of permutations, one an epoch. It does not matter which process draws, how
many workers there are, or what was drawn before; so a run continues at step s by starting at step s, and workers that
were killed are started again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Generator, Iterator, Sequence
from itertools import count
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils import data as torch_data

from viceversa.config import Config
from viceversa.data.datasets import DatasetSplits
from viceversa.data.image_data import ImageError, Pixels, to_tensor
from viceversa.data.transforms import augment, check_augment, read_each

Batch: TypeAlias = dict[str, Tensor]
Broken: TypeAlias = dict[str, str]  # what broken samples are called, and why they are
DrawKey: TypeAlias = tuple[int, bool]  # draw number, and whether the learning rate is falling
Drawn: TypeAlias = tuple[dict[str, Pixels] | None, Broken]  # an image of each domain; None if there is none
Joined: TypeAlias = tuple[Batch | None, Broken]

ORDER, CHANCE = 0, 2  # kinds of random numbers; each domain has its own: + 0 for A and for pairs, + 1 for B
ATTEMPTS = 3  # in a row to start workers that are killed
NO_ROOM = "unable to allocate shared memory"  # what torch says

log = logging.getLogger("viceversa")


class Dataset(torch_data.Dataset[Drawn]):
    """All draws there will ever be, by number. `tolerated`: after more broken files than this a draw gives up."""

    def __init__(self, splits: DatasetSplits, config: Config, tolerated: int) -> None:
        self.train, self.config, self.tolerated = splits.train, config, tolerated
        self._orders: dict[str, tuple[int, NDArray[np.int64]]] = {}

    def __getitem__(self, key: DrawKey) -> Drawn:
        number, decaying = key
        data = self.config.data
        if decaying and not data.decay_crop:
            data = dataclasses.replace(data, load=data.crop)
        broken: Broken = {}
        images: dict[str, Pixels] = {}
        for domains in ["AB"] if self.train.paired else ["A", "B"]:
            drawn = self._draw(domains, number, broken)
            if drawn is None:
                return None, broken
            rng = self._rng(CHANCE + "AB".index(domains[0]), number)
            images.update(zip(domains, augment(drawn, data, rng, domains), strict=True))
        return images, broken

    def _draw(self, domains: str, number: int, broken: Broken) -> list[Pixels] | None:
        """Read the images of a draw; in place of broken ones, the next in the permutation that are sound."""
        place, order = self._place(domains, number)
        for index in np.roll(order, -place):
            samples = [self.train.of(domain)[int(index)] for domain in domains]
            images, failed = read_each(samples, domains, self.config.data)
            if not failed:
                return images
            broken.update(failed)
            if len(broken) > self.tolerated:
                break
        return None

    def called(self, domain: str, number: int) -> str:
        """Return what the image of domain "A" or "B" in a draw is called, if it is sound."""
        place, order = self._place("AB" if self.train.paired else domain, number)
        return str(self.train.of(domain)[int(order[place])])

    def _place(self, domains: str, number: int) -> tuple[int, NDArray[np.int64]]:
        """Return a draw's place in its epoch, and the order of that epoch."""
        length = len(self.train.of(domains[0]))
        epoch, place = divmod(number, length)
        if self._orders.get(domains, (None,))[0] != epoch:
            rng = self._rng(ORDER + "AB".index(domains[0]), epoch)
            self._orders[domains] = epoch, rng.permutation(length)
        return place, self._orders[domains][1]

    def _rng(self, kind: int, number: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(np.random.SeedSequence([self.config.seed, kind, number])))


def draw_keys(batch: int, decay_start: int, step: int, rank: int, world_size: int) -> Iterator[list[DrawKey]]:
    """Yield the draws of each batch of process `rank` of `world_size` from `step` on; no number is left out."""
    for number in count(step):
        first = (number * world_size + rank) * batch
        yield [(draw, number >= decay_start) for draw in range(first, first + batch)]


def collate(drawn: Sequence[Drawn]) -> Joined:
    """Join draws into a batch, and what was found broken on the way.

    A worker puts the batch into shared memory here: a want of room later, on its way, would be printed and not raised.
    """
    broken = {sample: reason for _, found in drawn for sample, reason in found.items()}
    images = [image for image, _ in drawn if image is not None]
    if len(images) < len(drawn):
        return None, broken
    batch = {domain: _stacked([image[domain] for image in images]) for domain in "AB"}
    if torch_data.get_worker_info() is not None:
        for stacked in batch.values():
            stacked.share_memory_()  # type: ignore[no-untyped-call]
    return batch, broken


def _stacked(images: Sequence[Pixels]) -> Tensor:
    """Return images (H, W, C) as (B, C, H, W): uint8, a quarter of the way to go, or float32 if one is deeper."""
    if all(image.dtype == np.uint8 for image in images):
        return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return torch.stack([to_tensor(image) for image in images])


class TrainLoader:
    """Endless batches of training images, from any step on.

    `broken` names the files that could not be read so far, and why. They are skipped, until there are more than one in
    a hundred: then ImageError is raised.
    """

    def __init__(self, splits: DatasetSplits, config: Config) -> None:
        check_augment(config.data.augment, splits.train.paired, (config.data.channels_a, config.data.channels_b))
        self.splits, self.config = splits, config
        self.broken: Broken = {}
        both = (splits.train, splits.test)
        self._files = len({str(sample) for split in both for samples in (split.a, split.b) for sample in samples})
        self.tolerated = max(1, self._files // 100)  # files that may be broken
        self._dataset = Dataset(splits, config, self.tolerated)

    def steps_per_epoch(self, world_size: int = 1) -> int:
        """Return the steps in which `world_size` processes pass once over the larger domain, at least one."""
        train = self.splits.train
        return max(1, max(len(train.a), len(train.b)) // (self.config.train.batch * world_size))

    def batches(
        self, step: int, rank: int = 0, world_size: int = 1, pinned: bool = False
    ) -> Generator[Batch, None, None]:
        """Yield the batches of process `rank` of `world_size` from `step` on: "A" and "B", (B, C, crop, crop).

        They are uint8, so that little has to travel to the device, or float32 in [-1, 1] if an image has more than 8
        bits; `normalise` makes either what networks see. `pinned` memory is copied to a GPU in the background. Raises
        ImageError for broken files, ValueError for workers that are killed over and over.
        """
        batch, decay_start = self.config.train.batch, self.config.train.decay_start(self.steps_per_epoch(world_size))
        workers, failures = self.config.data.workers, 0
        while failures < ATTEMPTS:
            loader = _start(self._dataset, draw_keys(batch, decay_start, step, rank, world_size), workers, pinned)
            try:
                for joined in loader:
                    yield self._sound(joined)
                    failures = 0
                    step += 1
            except (RuntimeError, OSError, EOFError) as error:
                ours = str(error).startswith("Caught ") and NO_ROOM not in str(error)  # in the code of a worker
                if not workers or ours:
                    raise
                failures += 1
                if failures < ATTEMPTS:
                    log.warning("a process that reads pictures was killed; started again")
            finally:
                if workers:
                    loader._shutdown_workers()  # at once; else when nothing refers to it any more, as tracebacks do
        raise ValueError(
            f"processes that read pictures were killed {failures} times in a row, most likely for want of memory or of "
            "/dev/shm (a container gets more by --shm-size); read in the training process instead: data.workers=0"
        )

    def _sound(self, joined: Joined) -> Batch:
        """Return the batch, and warn once of each broken file; ImageError if there is none, or if too many are."""
        batch, broken = joined
        for sample in broken.keys() - self.broken.keys():
            log.warning("skipped: %s", broken[sample])
        self.broken.update(broken)
        if batch is None or len(self.broken) > self.tolerated:
            names = ", ".join(sorted(self.broken)[:3]) + (", ..." if len(self.broken) > 3 else "")
            raise ImageError(
                f"{len(self.broken)} of {self._files} pictures cannot be read: {names}; remove or repair them "
                f"({self.broken[min(self.broken)]})"
            )
        return batch

    def fingerprint(self) -> dict[str, int | str]:
        """Return how many images there are to train on, and a hash of their names: with others, draws are others."""
        train, names = self.splits.train, hashlib.sha256()
        for sample in (*train.a, *train.b):
            names.update(os.fsencode(sample.name) + b"\0")
        return {"A": len(train.a), "B": len(train.b), "names": names.hexdigest()[:32]}

    def names(self, step: int, rank: int = 0, world_size: int = 1) -> dict[str, list[str]]:
        """Return what the images of a batch are called, by domain (where one is broken, another takes its place)."""
        keys = next(draw_keys(self.config.train.batch, 0, step, rank, world_size))
        return {domain: [self._dataset.called(domain, number) for number, _ in keys] for domain in "AB"}


def _start(dataset: Dataset, keys: Iterator[list[DrawKey]], workers: int, pinned: bool) -> Any:
    """Return torch's iterator over the joined batches, read by so many processes, or by this one if 0."""
    takes_signals = threading.current_thread() is threading.main_thread() and sys.platform != "win32"
    handler = signal.getsignal(signal.SIGCHLD) if takes_signals else None
    with warnings.catch_warnings():
        # Forking beside the threads of a progress bar, or more workers than cores: known, and harmless here.
        warnings.simplefilter("ignore")
        loader = torch_data.DataLoader(
            dataset,
            batch_sampler=keys,
            num_workers=workers,
            collate_fn=collate,
            worker_init_fn=_prepare_worker,
            pin_memory=pinned,
            # Without its own generator the loader would draw from torch's, and workers would change the training.
            generator=torch.Generator(),
            # Spawned workers take seconds to import torch, and need a __main__ guard in users' scripts.
            multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
        )
        iterator = iter(loader)
    if handler is not None:  # torch's own would raise an error for a killed worker in the middle of a step
        signal.signal(signal.SIGCHLD, handler)
    return iterator


def _prepare_worker(_: int) -> None:
    """Leave signals to the training process, and share the cores with it.

    SLURM and Ctrl-C signal every process. A worker that died of it would take the training along before it has saved;
    so it stays, for a minute after a SIGTERM, which is also what ends it when the training has gone.
    """
    for name in {"SIGINT", "SIGUSR1", "SIGHUP"} & signal.Signals.__members__.keys():
        signal.signal(signal.Signals[name], signal.SIG_IGN)
    if sys.platform != "win32":
        signal.signal(signal.SIGTERM, lambda *_: signal.alarm(60))
    torch.set_num_threads(1)
