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
from collections.abc import Generator, Iterator, Sequence
from itertools import count, islice
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
import torch.utils.data
from numpy.typing import NDArray
from torch import Tensor

from viceversa.config import Config
from viceversa.data.datasets import DatasetSplits, LoaderError, has_vanished, wait_for
from viceversa.data.image_data import ImageError, Pixels, to_tensor
from viceversa.data.test_images import TestImages, TestSample
from viceversa.data.transforms import augment, check_augment, read_each
from viceversa.data.workers import ATTEMPTS, affordable_workers, has_stalled, start_workers, was_killed

Batch: TypeAlias = dict[str, Tensor]
Broken: TypeAlias = dict[str, str]  # what broken samples are called, and why they are
Key: TypeAlias = tuple[int, bool]  # draw number, and whether the learning rate is falling

ORDER, CHANCE = 0, 2  # kinds of random numbers; each domain has its own: + 0 for A and for pairs, + 1 for B

log = logging.getLogger("viceversa")


class Drawn(NamedTuple):
    """A draw: an image of each domain, or None if there is none; what was broken; the domain that has vanished."""

    images: dict[str, Pixels] | None
    broken: Broken
    away: str = ""


class Joined(NamedTuple):
    """Some draws, joined."""

    batch: Batch | None
    broken: Broken
    away: str


class Vanished(Exception):
    """All of a domain's files have vanished; the argument is the domain."""


class Dataset(torch.utils.data.Dataset[Drawn]):
    """All draws there will ever be, by number. `tolerated`: after more broken files than this a draw gives up."""

    def __init__(self, splits: DatasetSplits, config: Config, tolerated: int) -> None:
        self.train = splits.train
        self.config = config
        self.tolerated = tolerated
        self._orders: dict[str, tuple[int, NDArray[np.int64]]] = {}

    def __getitem__(self, key: Key) -> Drawn:
        number, decaying = key
        data = self.config.data
        if decaying and not data.decay_crop:
            data = dataclasses.replace(data, load=data.crop)
        broken: Broken = {}
        images: dict[str, Pixels] = {}
        for domains in ["AB"] if self.train.paired else ["A", "B"]:
            try:
                drawn = self._draw(domains, number, broken)
            except Vanished as vanished:
                return Drawn(None, broken, str(vanished))
            if drawn is None:
                return Drawn(None, broken)
            rng = self._rng(CHANCE + "AB".index(domains[0]), number)
            images.update(zip(domains, augment(drawn, data, rng, domains), strict=True))
        return Drawn(images, broken)

    def _draw(self, domains: str, number: int, broken: Broken) -> list[Pixels] | None:
        """Read the images of a draw; in place of broken ones, the next in the permutation that are sound."""
        length = len(self.train.of(domains[0]))
        epoch, place = divmod(number, length)
        order = self._order(domains, epoch)
        for offset in range(length):
            images = self._read(domains, int(order[(place + offset) % length]), broken)
            if images is not None or len(broken) > self.tolerated:
                return images
        return None

    def _read(self, domains: str, index: int, broken: Broken) -> list[Pixels] | None:
        """Read image `index` of one domain, or of both; None if one is broken, noted in `broken`."""
        samples = [self.train.of(domain)[index] for domain in domains]
        images = []
        for domain, sample, image in zip(domains, samples, read_each(samples, domains, self.config.data), strict=True):
            if not isinstance(image, ImageError):
                images.append(image)
            elif has_vanished(sample, self.train.of(domain)):
                raise Vanished(domain)
            else:
                broken[str(sample)] = str(image)
        return images if len(images) == len(samples) else None

    def called(self, domain: str, number: int) -> str:
        """Return what the image of domain "A" or "B" in a draw is called, if it is sound."""
        samples = self.train.of(domain)
        epoch, place = divmod(number, len(samples))
        return str(samples[int(self._order("AB" if self.train.paired else domain, epoch)[place])])

    def _order(self, domains: str, epoch: int) -> NDArray[np.int64]:
        known = self._orders.get(domains)
        if known is None or known[0] != epoch:
            rng = self._rng(ORDER + "AB".index(domains[0]), epoch)
            known = self._orders[domains] = epoch, rng.permutation(len(self.train.of(domains[0])))
        return known[1]

    def _rng(self, kind: int, number: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(np.random.SeedSequence([self.config.seed, kind, number])))


@dataclasses.dataclass
class BatchSampler:
    """The endless batches of draws of process `rank` of `world_size` from `step` on; no number is left out."""

    batch: int
    decay_start: int
    step: int
    rank: int
    world_size: int

    def __iter__(self) -> Iterator[list[Key]]:
        for step in count(self.step):
            first = (step * self.world_size + self.rank) * self.batch
            yield [(number, step >= self.decay_start) for number in range(first, first + self.batch)]


def collate(drawn: Sequence[Drawn]) -> Joined:
    """Join draws into a batch, and what was found broken on the way."""
    broken = {sample: reason for one in drawn for sample, reason in one.broken.items()}
    away = next((one.away for one in drawn if one.away), "")
    images = [one.images for one in drawn if one.images is not None]
    if len(images) < len(drawn):
        return Joined(None, broken, away)
    return Joined({domain: _stacked([image[domain] for image in images]) for domain in "AB"}, broken, "")


def _stacked(images: Sequence[Pixels]) -> Tensor:
    """Return images (H, W, C) as (B, C, H, W): uint8, a quarter of the way to go, or float32 if one is deeper."""
    if all(image.dtype == np.uint8 for image in images):
        return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return torch.stack([to_tensor(image) for image in images])


class TrainLoader:
    """The images of a run: endless training batches from any step on, and fixed test samples.

    `broken` names the files that could not be read so far, and why. They are skipped, until there are more than one in
    a hundred: then ImageError is raised.
    """

    def __init__(self, splits: DatasetSplits, config: Config) -> None:
        check_augment(config.data.augment, splits.train.paired, (config.data.channels_a, config.data.channels_b))
        self.splits = splits
        self.config = config
        self.broken: Broken = {}
        both = (splits.train, splits.test)
        self._files = len({str(sample) for split in both for samples in (split.a, split.b) for sample in samples})
        self._dataset = Dataset(splits, config, self.tolerated)

    @property
    def tolerated(self) -> int:
        """How many files may be broken: one, or one in a hundred."""
        return max(1, self._files // 100)

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
        ImageError for broken files, LoaderError for a folder that stays away and workers that are killed again and
        again.
        """
        train = self.config.train
        sampler = BatchSampler(train.batch, train.decay_start(self.steps_per_epoch(world_size)), step, rank, world_size)
        failures = 0
        while True:
            workers = affordable_workers(self.config)
            joined = start_workers(self._dataset, sampler, collate, workers, pinned)
            try:
                while batch := self._next(joined):
                    failures = 0
                    yield batch
                    sampler.step += 1
            except (RuntimeError, OSError, EOFError) as error:
                if not (workers and was_killed(error)):
                    raise
                failures += 1
                if failures == ATTEMPTS:
                    raise LoaderError(
                        f"processes that read pictures were killed {failures} times in a row, most likely for want of "
                        "memory; read in the training process instead: data.workers=0"
                    ) from error
                log.warning("a process that reads pictures was killed; started again")
            del joined  # and its workers end, before others start

    def _next(self, joined: Iterator[Joined]) -> Batch | None:
        """Return the next batch; None if the data had vanished and are back, or workers lack memory to send it in."""
        while True:
            try:
                found = next(joined)
            except RuntimeError as error:
                if not has_stalled(error):
                    raise
                if affordable_workers(self.config) < self.config.data.workers:
                    return None
                continue  # a slow disk
            self._note(found.broken)
            if found.away:
                wait_for(self.splits.train.of(found.away), self.config.data.wait)
                return None
            if found.batch is None:
                raise ImageError(f"no picture can be read: {next(iter(found.broken.values()))}")
            return found.batch

    def fingerprint(self) -> dict[str, int | str]:
        """Return how many images there are to train on, and a hash of their names: with others, draws are others."""
        train, names = self.splits.train, hashlib.sha256()
        for sample in (*train.a, *train.b):
            names.update(os.fsencode(sample.name) + b"\0")
        return {"A": len(train.a), "B": len(train.b), "names": names.hexdigest()[:32]}

    def names(self, step: int, rank: int = 0, world_size: int = 1) -> dict[str, list[str]]:
        """Return what the images of a batch are called, by domain (where one is broken, another takes its place)."""
        (keys,) = islice(BatchSampler(self.config.train.batch, 0, step, rank, world_size), 1)
        return {domain: [self._dataset.called(domain, number) for number, _ in keys] for domain in "AB"}

    def test_samples(self, limit: int | None = None) -> list[TestSample]:
        """Return at most `limit` samples, spread evenly over the test images; see `TestImages.samples`."""
        tests = TestImages(self.splits, self.config)
        samples = tests.samples(limit)
        self.broken.update(tests.broken)
        self._note({})
        return samples

    def _note(self, broken: Broken) -> None:
        """Warn once of each broken file, and stop when they are too many."""
        for sample in broken.keys() - self.broken.keys():
            log.warning("skipped: %s", broken[sample])
        self.broken.update(broken)
        if len(self.broken) > self.tolerated:
            names = ", ".join(sorted(self.broken)[:3])
            more = ", ..." if len(self.broken) > 3 else ""
            first = self.broken[min(self.broken)]
            raise ImageError(
                f"{len(self.broken)} of {self._files} pictures cannot be read: {names}{more}; remove or repair them "
                f"({first})"
            )
