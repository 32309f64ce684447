"""What the stream promises of its order, for any data, any number of processes and any start."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from viceversa.config import Config, DataConfig, TrainConfig
from viceversa.data import DatasetSplits, Sample, Split, TrainLoader
from viceversa.data.image_data import ImageData


@dataclass(frozen=True)
class Plain:
    """A picture that says its number; an item need not be a file."""

    number: int
    world: int

    @property
    def name(self) -> str:
        return str(self.number)

    def open(self) -> ImageData:
        return ImageData(np.full((2, 2, 3), (self.number, self.world, 0), np.uint8))

    def size(self) -> tuple[int, int]:
        return 2, 2


def stream(a: int, b: int, paired: bool, batch: int, seed: int, workers: int = 0) -> TrainLoader:
    sides: list[list[Sample]] = [[Plain(i, world) for i in range(count)] for world, count in enumerate((a, b))]
    config = Config(seed=seed, data=DataConfig(load=2, crop=2, workers=workers), train=TrainConfig(batch=batch))
    return TrainLoader(DatasetSplits("plain", Split(*sides, paired), Split((), ()), "plain"), config)


def drawn(source: TrainLoader, steps: int, step: int = 0, rank: int = 0, world: int = 1) -> dict[str, list[int]]:
    batches = list(islice(source.batches(step, rank, world), steps))
    return {name: [int(x) for batch in batches for x in batch[name][:, 0, 0, 0]] for name in "AB"}


COUNTS, BATCHES, SEEDS = st.integers(1, 9), st.integers(1, 4), st.integers(0, 2**32 - 1)


@settings(deadline=None)
@given(COUNTS, COUNTS, BATCHES, SEEDS)
def test_every_epoch_is_a_permutation(a: int, b: int, batch: int, seed: int) -> None:
    found = drawn(stream(a, b, False, batch, seed), 30)
    for name, count in (("A", a), ("B", b)):
        for start in range(0, 30 * batch - count + 1, count):
            assert sorted(found[name][start : start + count]) == list(range(count))


@settings(deadline=None)
@given(COUNTS, BATCHES, SEEDS)
def test_pairs_stay_together(count: int, batch: int, seed: int) -> None:
    found = drawn(stream(count, count, True, batch, seed), 12)
    assert found["A"] == found["B"]


@settings(deadline=None)
@given(COUNTS, COUNTS, st.booleans(), BATCHES, SEEDS, st.integers(0, 40), st.integers(1, 3))
def test_any_start_and_any_number_of_ranks(
    a: int, b: int, paired: bool, batch: int, seed: int, step: int, world: int
) -> None:
    """The draws of all ranks, put together, are those of one process with as many times the batch."""
    b = a if paired else b
    whole = drawn(stream(a, b, paired, batch * world, seed), step + 4)
    parts = [drawn(stream(a, b, paired, batch, seed), 4, step, rank, world) for rank in range(world)]
    for name in "AB":
        joined = np.stack([np.reshape(part[name], (4, batch)) for part in parts], axis=1).ravel()
        assert joined.tolist() == whole[name][step * batch * world :]


@settings(deadline=None, max_examples=3)
@given(COUNTS, COUNTS, BATCHES, SEEDS, st.integers(1, 2))
def test_any_number_of_workers(a: int, b: int, batch: int, seed: int, workers: int) -> None:
    expected = drawn(stream(a, b, False, batch, seed), 6, 3)
    assert drawn(stream(a, b, False, batch, seed, workers), 6, 3) == expected
