"""An endless order of draws that can start anywhere.

Draw number g decides everything: which pictures, which crop, which flip. It does not matter which process draws it, how
many workers there are, or what was drawn before; so a run continues at step s by starting at step s.
"""

from __future__ import annotations

import hashlib
import logging
import sys
import warnings
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from viceversa.config import Config
from viceversa.data.datasets import DatasetSplits, Split
from viceversa.data.draws import Batch, Broken, Drawn, Draws, Numbers, collate, start_worker
from viceversa.data.image_data import ImageError, Pixels, to_tensor
from viceversa.data.transforms import check, prepared

__all__ = ["Batch", "TestSample", "TrainLoader"]

log = logging.getLogger("viceversa")


@dataclass(frozen=True)
class TestSample:
    """Pictures (C, crop, crop) in [-1, 1] to try the translators on; if `paired`, each is the other's true answer."""

    __test__ = False  # tells pytest that the name is a coincidence

    name: str
    a: Tensor | None
    b: Tensor | None
    paired: bool


class TrainLoader:
    """The pictures of a run: endless training batches from any step on, and fixed test samples.

    `broken` names the files that could not be read so far, and why. They are skipped, until there are more than one in
    a hundred: then ImageError is raised.
    """

    def __init__(self, splits: DatasetSplits, config: Config) -> None:
        check(config.data.augment, splits.train.paired, (config.data.channels_a, config.data.channels_b))
        self.splits = splits
        self.config = config
        self.broken: Broken = {}
        both = (splits.train, splits.test)
        self._files = len({str(item) for split in both for items in (split.a, split.b) for item in items})
        self._draws = Draws(splits, config, self.tolerated)

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

        They are uint8, so that little has to travel to the device, or float32 in [-1, 1] if a picture has more than 8
        bits; `normalise` makes either what networks see. `pinned` memory is copied to a GPU in the background.
        """
        with warnings.catch_warnings():
            # Forking beside the threads of a progress bar, or more workers than cores: known, and harmless here.
            warnings.simplefilter("ignore")
            train = self.config.train
            decay_start = train.decay_start(self.steps_per_epoch(world_size))
            loader = self._loader(Numbers(train.batch, decay_start, step, rank, world_size), pinned)
            drawn = iter(loader)
        for batch, broken in drawn:
            self._note(broken)
            if batch is None:
                raise ImageError(f"no picture can be read: {next(iter(broken.values()))}")
            yield batch

    def fingerprint(self) -> dict[str, int | str]:
        """Return how many pictures there are to train on, and a hash of their names: with others, draws are others."""
        train, names = self.splits.train, hashlib.sha256()
        for item in (*train.a, *train.b):
            names.update(item.name.encode("utf-8", "surrogateescape") + b"\0")
        return {"A": len(train.a), "B": len(train.b), "names": names.hexdigest()[:32]}

    def names(self, step: int, rank: int = 0, world_size: int = 1) -> dict[str, list[str]]:
        """Return what the pictures of a batch are called, by world (where one is broken, another takes its place)."""
        (keys,) = islice(Numbers(self.config.train.batch, 0, step, rank, world_size), 1)
        return {letter: [self._draws.called(letter, number) for number, _ in keys] for letter in "AB"}

    def _loader(self, numbers: Numbers, pinned: bool) -> DataLoader[Drawn]:
        workers = self.config.data.workers
        return DataLoader(
            self._draws,
            batch_sampler=numbers,
            num_workers=workers,
            collate_fn=collate,
            worker_init_fn=start_worker,
            pin_memory=pinned,
            # Without its own generator the loader would draw from torch's, and workers would change the training.
            generator=torch.Generator(),
            # Spawned workers take seconds to import torch, and need a __main__ guard in users' scripts.
            multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
        )

    def test_samples(self, limit: int | None = None) -> list[TestSample]:
        """Return at most `limit` samples, spread evenly over the test pictures.

        If there are none, training pictures take their place. Unpaired worlds stand side by side, the shorter one
        filled up with training pictures if there is a limit, else with None. Files that cannot be read are left out.
        """
        test = self.splits.test
        split = test if test.a or test.b else self.splits.train
        broken: Broken = {}
        samples = []
        if split.paired:
            for index in _spread(len(split.a), limit):
                if pair := self._draws.read(split, "AB", index, broken):
                    a, b = self._prepared(pair)
                    samples.append(TestSample(split.a[index].name, a, b, True))
        else:
            sides = [self._side(split, world, limit, broken) for world in "AB"]
            rows = max(map(len, sides)) if limit else 0
            for side, world in zip(sides, "AB", strict=True):  # few test pictures must not leave a grid half empty
                side += self._side(self.splits.train, world, max(0, rows - len(side)), broken)
            for one, other in zip_longest(*sides):
                samples.append(TestSample((one or other)[0], one and one[1], other and other[1], False))
        self._note(broken)
        return samples

    def _side(self, split: Split, world: str, limit: int | None, broken: Broken) -> list[tuple[str, Tensor]]:
        items = split.a if world == "A" else split.b
        found = ((index, self._draws.read(split, world, index, broken)) for index in _spread(len(items), limit))
        return [(items[index].name, self._prepared(images)[0]) for index, images in found if images]

    def _prepared(self, images: Sequence[Pixels]) -> list[Tensor]:
        return [to_tensor(image) for image in prepared(images, self.config.data)]

    def _note(self, broken: Broken) -> None:
        """Warn once of each broken file, and stop when they are too many."""
        for item in broken.keys() - self.broken.keys():
            log.warning("skipped: %s", broken[item])
        self.broken.update(broken)
        if len(self.broken) > self.tolerated:
            names = ", ".join(sorted(self.broken)[:3])
            more = ", ..." if len(self.broken) > 3 else ""
            first = self.broken[min(self.broken)]
            raise ImageError(
                f"{len(self.broken)} of {self._files} pictures cannot be read: {names}{more}; remove or repair them "
                f"({first})"
            )


def _spread(length: int, limit: int | None) -> list[int]:
    """Return `limit` indices spread evenly over `length` items, or all of them."""
    wanted = length if limit is None else min(limit, length)
    return [i * length // wanted for i in range(wanted)]
