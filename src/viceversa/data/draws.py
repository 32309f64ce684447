"""Draw number g of a training run: which pictures, which crop, which flip. It depends on the seed and g alone.

Each world (or the world of pairs) is an endless sequence of permutations, one an epoch.
"""

from __future__ import annotations

import dataclasses
import signal
import sys
from collections.abc import Iterator, Sequence
from itertools import count
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from viceversa.config import Config
from viceversa.data.datasets import DatasetSplits, Split, open_each
from viceversa.data.image_data import ImageError, Pixels, to_tensor, with_channels
from viceversa.data.transforms import augment

Batch: TypeAlias = dict[str, Tensor]
Broken: TypeAlias = dict[str, str]  # what broken items are called, and why they are
Key: TypeAlias = tuple[int, bool]  # draw number, and whether the learning rate is falling
Drawn: TypeAlias = tuple[dict[str, Pixels] | None, Broken]  # None: no picture could be read
Joined: TypeAlias = tuple[Batch | None, Broken]

ORDER, CHANCE = 0, 2  # domains of random numbers; each world has its own: + 0 for A and for pairs, + 1 for B


class Draws(Dataset[Drawn]):
    """All draws there will ever be, by number. `tolerated`: after more broken files than this a draw gives up."""

    def __init__(self, splits: DatasetSplits, config: Config, tolerated: int) -> None:
        self.splits = splits
        self.config = config
        self.tolerated = tolerated
        self.channels = {"A": config.data.channels_a, "B": config.data.channels_b}
        self._orders: dict[str, tuple[int, NDArray[np.int64]]] = {}

    def __getitem__(self, key: Key) -> Drawn:
        number, decaying = key
        data = self.config.data
        if decaying and not data.decay_crop:
            data = dataclasses.replace(data, load=data.crop)
        broken: Broken = {}
        images: dict[str, Pixels] = {}
        for worlds in ["AB"] if self.splits.train.paired else ["A", "B"]:
            drawn = self._draw(worlds, number, broken)
            if drawn is None:
                return None, broken
            rng = self._rng(CHANCE + "AB".index(worlds[0]), number)
            images.update(zip(worlds, augment(drawn, data, rng, worlds), strict=True))
        return images, broken

    def _draw(self, worlds: str, number: int, broken: Broken) -> list[Pixels] | None:
        """Read the pictures of a draw; in place of broken ones, the next in the permutation that are sound."""
        split = self.splits.train
        length = len(split.b if worlds == "B" else split.a)
        epoch, place = divmod(number, length)
        order = self._order(worlds, epoch, length)
        for step in range(length):
            images = self.read(split, worlds, int(order[(place + step) % length]), broken)
            if images is not None or len(broken) > self.tolerated:
                return images
        return None

    def called(self, letter: str, number: int) -> str:
        """Return what the picture of world "A" or "B" in a draw is called, if it is sound."""
        split = self.splits.train
        items = split.b if letter == "B" else split.a
        epoch, place = divmod(number, len(items))
        return str(items[int(self._order("AB" if split.paired else letter, epoch, len(items))[place])])

    def read(self, split: Split, worlds: str, index: int, broken: Broken) -> list[Pixels] | None:
        """Read picture `index` of world "A" or "B", or of both ("AB"); None if one is broken, noted in `broken`."""
        items = [split.a[index] if world == "A" else split.b[index] for world in worlds]
        images = []
        for world, item, picture in zip(worlds, items, open_each(items), strict=True):
            if isinstance(picture, ImageError):
                broken[str(item)] = str(picture)
                continue
            try:
                images.append(with_channels(picture, self.channels[world]))
            except ImageError as error:
                broken[str(item)] = f"{item}: {error} (data.channels_{world.lower()})"
        return images if len(images) == len(items) else None

    def _order(self, worlds: str, epoch: int, length: int) -> NDArray[np.int64]:
        known = self._orders.get(worlds)
        if known is None or known[0] != epoch:
            rng = self._rng(ORDER + "AB".index(worlds[0]), epoch)
            known = self._orders[worlds] = epoch, rng.permutation(length)
        return known[1]

    def _rng(self, domain: int, number: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(np.random.SeedSequence([self.config.seed, domain, number])))


class Numbers:
    """The endless batches of draws of process `rank` of `world_size` from `step` on; no number is left out."""

    def __init__(self, batch: int, decay_start: int, step: int, rank: int, world_size: int) -> None:
        self.batch = batch
        self.decay_start = decay_start
        self.step = step
        self.rank = rank
        self.world_size = world_size

    def __iter__(self) -> Iterator[list[Key]]:
        for step in count(self.step):
            first = (step * self.world_size + self.rank) * self.batch
            yield [(number, step >= self.decay_start) for number in range(first, first + self.batch)]


def collate(drawn: Sequence[Drawn]) -> Joined:
    """Join draws into a batch, and what was found broken on the way."""
    broken = {item: reason for _, found in drawn for item, reason in found.items()}
    images = [image for image, _ in drawn if image is not None]
    if len(images) < len(drawn):
        return None, broken
    return {world: _stacked([image[world] for image in images]) for world in "AB"}, broken


def _stacked(pictures: Sequence[Pixels]) -> Tensor:
    """Return pictures (H, W, C) as (B, C, H, W): uint8, a quarter of the way to go, or float32 if one is deeper."""
    if all(picture.dtype == np.uint8 for picture in pictures):
        return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    return torch.stack([to_tensor(picture) for picture in pictures])


def start_worker(_: int) -> None:
    """Prepare a worker: signals are the training process's to handle, and workers share the cores with it.

    SLURM and Ctrl-C signal every process. A worker that died of it would take the training along before it has saved;
    so it stays, for a minute after a SIGTERM, which is also what ends it when the training has gone.
    """
    for name in {"SIGINT", "SIGUSR1"} & signal.Signals.__members__.keys():
        signal.signal(signal.Signals[name], signal.SIG_IGN)
    if sys.platform != "win32":
        signal.signal(signal.SIGTERM, lambda *_: signal.alarm(60))
    torch.set_num_threads(1)
