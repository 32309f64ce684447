"""Batches: the same whoever draws them, wherever they start, whatever is broken, killed or away."""

import itertools
import logging
import multiprocessing
import os
import signal
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from batches import config_of, equal
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from support import save
from viceversa.config import Config, DataConfig, TrainConfig, load_config
from viceversa.data import DatasetSplits, ImageError, Sample, Split, TrainLoader, loader, open_loader
from viceversa.data.eval_set import EvalSample, EvalSet
from viceversa.data.image_data import ImageData, normalise, resize, to_tensor
from viceversa.data.loader import Batch

SIZE = 8


@dataclass(frozen=True)
class Plain:
    """An image that says its number; a sample need not be a file. `deadly` kills whoever opens it."""

    number: int
    domain: int
    deadly: bool = False

    @property
    def name(self) -> str:
        return str(self.number)

    def open(self) -> ImageData:
        if self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return ImageData(np.full((2, 2, 3), (self.number, self.domain, 0), np.uint8))


def plain(a: int, b: int, paired: bool, batch: int, seed: int, workers: int = 0, deadly: bool = False) -> TrainLoader:
    sides: list[list[Sample]] = [[Plain(i, side, deadly) for i in range(count)] for side, count in enumerate((a, b))]
    config = Config(seed=seed, data=DataConfig(load=2, crop=2, workers=workers), train=TrainConfig(batch=batch))
    return TrainLoader(DatasetSplits("plain", Split(*sides, paired), Split((), ()), "plain"), config)


def drawn(source: TrainLoader, steps: int, step: int = 0, rank: int = 0, world_size: int = 1) -> dict[str, list[int]]:
    batches = list(itertools.islice(source.batches(step, rank, world_size), steps))
    return {name: [int(x) for batch in batches for x in batch[name][:, 0, 0, 0]] for name in "AB"}


COUNTS, BATCHES, SEEDS = st.integers(1, 9), st.integers(1, 4), st.integers(0, 2**32 - 1)


@given(COUNTS, COUNTS, st.booleans(), BATCHES, SEEDS, st.integers(0, 40), st.integers(1, 3))
def test_every_epoch_is_a_permutation_from_any_start_and_by_any_number_of_ranks(
    a: int, b: int, paired: bool, batch: int, seed: int, step: int, ranks: int
) -> None:
    """The draws of all ranks, put together, are those of one process with as many times the batch."""
    b = a if paired else b
    whole = drawn(plain(a, b, paired, batch * ranks, seed), step + 4)
    parts = [drawn(plain(a, b, paired, batch, seed), 4, step, rank, ranks) for rank in range(ranks)]
    for name, count in (("A", a), ("B", b)):
        for start in range(0, len(whole[name]) - count + 1, count):
            assert sorted(whole[name][start : start + count]) == list(range(count))
        joined = np.stack([np.reshape(part[name], (4, batch)) for part in parts], axis=1).ravel()
        assert joined.tolist() == whole[name][step * batch * ranks :]
    assert not paired or whole["A"] == whole["B"]


def make(folder: Path, count: int, start: int = 0) -> None:
    """Write images that tell which one it is (red), which domain (green), and crop and flip (blue)."""
    for index in range(start, start + count):
        pixels = np.empty((SIZE, SIZE, 3), np.uint8)
        pixels[:] = (10 * index % 256, 200 if folder.name.endswith("A") else 100, 255)
        pixels[:, :, 2] = np.arange(SIZE) * 20 + np.arange(SIZE)[:, None]
        save(folder / f"{index:02d}.png", pixels)


def loader_of(root: Path, batch: int = 1, **data: Any) -> TrainLoader:
    return open_loader(config_of(root, batch, **{"load": SIZE, "crop": 6, "test_fraction": 0.0, **data}))


def take(source: TrainLoader, count: int, step: int = 0) -> list[Batch]:
    return next_of(source.batches(step), count)


def next_of(batches: Iterator[Batch], count: int = 1) -> list[Batch]:
    return [{name: normalise(x) for name, x in batch.items()} for batch in itertools.islice(batches, count)]


def numbers(batches: list[Batch], domain: str) -> list[int]:
    return [round(float(x[0].mean() + 1) * 12.75) for batch in batches for x in batch[domain]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder, count, start in (("trainA", 5, 0), ("trainB", 7, 0), ("testA", 10, 10), ("testB", 4, 10)):
        make(tmp_path / folder, count, start)
    return tmp_path


def test_batches_are_what_training_expects(root: Path) -> None:
    (batch,) = itertools.islice(loader_of(root, batch=3, channels_b=1).batches(0), 1)
    assert (batch["A"].shape, batch["A"].dtype) == ((3, 3, 6, 6), torch.uint8)  # which travel as bytes
    assert batch["B"].shape == (3, 1, 6, 6)
    assert torch.allclose(normalise(batch["A"])[:, 1], torch.tensor(200 / 127.5 - 1))
    save(root / "trainA" / "deep.png", np.full((SIZE, SIZE), 40000, np.uint16))
    deep = [batch["A"] for batch in itertools.islice(loader_of(root, batch=3).batches(0), 2)]
    (floats,) = (images for images in deep if images.dtype == torch.float32)
    assert any(torch.allclose(image, torch.tensor(40000 / 32767.5 - 1)) for image in floats)
    for batch_size, ranks, steps in ((1, 1, 7), (2, 1, 3), (1, 3, 2), (50, 1, 1)):
        assert loader_of(root, batch_size).steps_per_epoch(ranks) == steps


@pytest.mark.parametrize("workers", [1, (os.cpu_count() or 1) + 1])
def test_workers_change_nothing_warn_of_nothing_and_leave_ctrl_c_to_the_main_process(root: Path, workers: int) -> None:
    torch.manual_seed(0)
    state, before = torch.get_rng_state(), set(multiprocessing.active_children())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batches = loader_of(root, batch=2, workers=workers).batches(3)
        found = next_of(batches, workers)  # then each has begun
        own = set(multiprocessing.active_children()) - before
        assert len(own) == workers
        for worker in own:
            os.kill(worker.pid, signal.SIGINT)
        found += next_of(batches, 9)
        assert set(multiprocessing.active_children()) - before == own, "none was started again"
        batches.close()
    assert equal(found, take(loader_of(root, batch=2), workers + 9, step=3))
    assert torch.equal(torch.get_rng_state(), state)
    for worker in own:
        worker.join(60)
        assert not worker.is_alive(), "they end with the batches"


@pytest.mark.parametrize("mode", ["stretch", "short_side", "none"])
def test_crops_of_pairs_of_any_sizes_are_alike_and_of_unpaired_domains_are_not(tmp_path: Path, mode: str) -> None:
    for folder in ("A", "B"):
        make(tmp_path / folder, 6)
    apart = take(loader_of(tmp_path, layout="unpaired", resize=mode), 30)
    assert {torch.equal(batch["A"][0, 2], batch["B"][0, 2]) for batch in apart} == {True, False}
    assert numbers(apart, "A") != numbers(apart, "B")
    for path in (tmp_path / "B").iterdir():
        with Image.open(path) as image:
            image.resize((2 * SIZE, SIZE)).save(path)
    pairs = loader_of(tmp_path, layout="paired", resize=mode)
    together = take(pairs, 30)
    assert numbers(together, "A") == numbers(together, "B")
    assert max((batch["A"][0, 2] - batch["B"][0, 2]).abs().max() for batch in together) < 0.15
    for sample in samples_of(pairs):
        assert sample.paired
        assert (sample.a[2] - sample.b[2]).abs().max() < 0.15


def test_samples_are_spread_over_the_test_images(root: Path) -> None:
    samples = samples_of(loader_of(root), 5)
    assert [sample.name for sample in samples] == ["10", "12", "14", "16", "18"]
    assert samples[0].a is not None
    assert (samples[0].paired, samples[0].a.shape) == (False, (3, 6, 6))
    assert [sample.b is None for sample in samples] == [False] * 4 + [True]


def test_crops_can_end_when_the_learning_rate_falls(tmp_path: Path) -> None:
    """CUT's code shows whole images during decay: load = crop."""
    pixels = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
    for domain, i in itertools.product(("trainA", "trainB"), range(2)):
        save(tmp_path / domain / f"{i}.png", pixels)
    options = [f"data.root={tmp_path}", "data.load=16", "data.crop=8", "data.flip=false", "data.workers=0"]
    lengths = ["train.length=6 steps", "train.decay=3 steps", "data.test_fraction=0"]
    source = open_loader(load_config(None, [*options, *lengths, "data.decay_crop=false"]))
    whole = to_tensor(resize(pixels, (8, 8)))
    for start in (0, 3):
        shown = [torch.equal(batch["A"][0], whole) for batch in take(source, 6 - start, start)]
        assert shown == ([False] * 3 + [True] * 3)[start:]


def samples_of(source: TrainLoader, limit: int | None = None) -> list[EvalSample]:
    return EvalSet(source.splits, source.config).samples(limit)


def break_some(folder: Path, *indices: int) -> list[Path]:
    paths = [folder / f"{index:02d}.png" for index in indices]
    for path in paths:
        path.write_text("<html>not found</html>")
    return paths


@pytest.mark.parametrize("workers", [0, 1])
def test_one_broken_file_is_skipped_and_named(root: Path, caplog: pytest.LogCaptureFixture, workers: int) -> None:
    whole = numbers(take(loader_of(root), 15), "A")
    (path,) = break_some(root / "trainA", 3)
    source = loader_of(root, workers=workers)
    batches = take(source, 15)
    for place, (number, other) in enumerate(zip(whole, numbers(batches, "A"), strict=True)):
        epoch = place // 5 * 5
        following = whole[epoch + (place - epoch + 1) % 5]  # the next of the same permutation
        assert other == (following if number == 3 else number)
    assert source.broken == {str(path): f"{path}: a web page or other text, not a picture"}
    assert [record.getMessage() for record in caplog.records] == [f"skipped: {source.broken[str(path)]}"]
    assert equal(take(loader_of(root), 4, step=9), batches[9:13])


@pytest.mark.parametrize("workers", [0, 1])
def test_too_many_broken_files_stop_the_training(root: Path, workers: int) -> None:
    break_some(root / "trainA", 3, 4)
    says = r"2 of 26 pictures cannot be read: .*03\.png, .*04\.png; remove or repair them"
    with pytest.raises(ImageError, match=says):
        take(loader_of(root, workers=workers), 5)
    break_some(root / "trainA", *range(5))
    with pytest.raises(ImageError, match=r"^2 of 26"):  # no need to read them all
        take(loader_of(root), 1)


def test_a_pair_with_a_broken_half_is_left_out_as_a_whole(tmp_path: Path) -> None:
    for folder in ("A", "B"):
        make(tmp_path / folder, 4)
    (path,) = break_some(tmp_path / "B", 2)
    source = loader_of(tmp_path, layout="paired")
    batches = take(source, 12)
    assert numbers(batches, "A") == numbers(batches, "B")
    assert set(numbers(batches, "A")) == {0, 1, 3}
    assert list(source.broken) == [str(path)]
    assert [sample.name for sample in samples_of(source)] == ["00", "01", "03"]


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_workers_are_started_again(root: Path, workers: int, caplog: pytest.LogCaptureFixture) -> None:
    expected = take(loader_of(root, batch=2), 30)
    before = set(multiprocessing.active_children())
    batches = loader_of(root, batch=2, workers=workers).batches(0)
    found = []
    for step in range(30):
        if step in (4, 5, 17):
            for worker in set(multiprocessing.active_children()) - before:
                os.kill(worker.pid, signal.SIGKILL)
        found += next_of(batches)
    batches.close()
    assert equal(found, expected)
    assert 1 <= len(caplog.records) <= 3


def test_workers_that_are_killed_over_and_over_end_it() -> None:
    with pytest.raises(ValueError, match=r"killed 3 times in a row.*data\.workers=0") as raised:
        drawn(plain(3, 3, False, 1, 0, workers=1, deadly=True), 1)
    assert "\n" not in str(raised.value)


def test_errors_in_the_code_of_a_worker_are_not_taken_for_its_death(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(loader, "augment", fail)
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        take(loader_of(root, workers=1), 1)


def test_workers_without_room_to_send_end_it(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As in a container with a small /dev/shm; nothing else is said."""

    def full(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)")

    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    with pytest.raises(ValueError, match=r"--shm-size.*data\.workers=0"):
        take(loader_of(root, workers=1), 3)
    assert capfd.readouterr().err == ""


@pytest.fixture(autouse=True)
def _log_look_often_and_tidy_up(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    caplog.set_level(logging.WARNING, "viceversa")
    look = _MultiProcessingDataLoaderIter._try_get_data  # torch looks every five seconds whether workers are there
    monkeypatch.setattr(look, "__defaults__", (0.5,))
    with tempfile.TemporaryDirectory() as folder:  # a worker that is killed leaves its socket behind
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield
