"""The stream of batches: the same whoever draws it, wherever it starts."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import warnings
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from viceversa.config import Config, DataConfig, TrainConfig, load_config
from viceversa.data import ImageError, TrainLoader, open_loader
from viceversa.data.image_data import normalise, resize, to_tensor
from viceversa.data.image_io import write_image
from viceversa.data.loader import Batch

SIZE = 8


def tint(world: str, index: int) -> tuple[int, int, int]:
    """A colour that tells the picture (red) and the world (green)."""
    return (10 * index % 256, 200 if world == "A" else 100, 255)


def make(folder: Path, world: str, count: int, start: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(start, start + count):
        pixels = np.empty((SIZE, SIZE, 3), np.uint8)
        pixels[:] = tint(world, index)
        pixels[:, :, 2] = np.arange(SIZE) * 20 + np.arange(SIZE)[:, None]  # tells the crop and the flip
        Image.fromarray(pixels).save(folder / f"{index:02d}.png")


def config(root: Path, batch: int = 1, seed: int = 0, **data: Any) -> Config:
    options = {"load": SIZE, "crop": 6, "workers": 0, "test_fraction": 0.0, **data}
    return Config(seed=seed, data=DataConfig(root=str(root), **options), train=TrainConfig(batch=batch))


def stream_of(root: Path, batch: int = 1, seed: int = 0, **data: Any) -> TrainLoader:
    return open_loader(config(root, batch, seed, **data))


def numbers(batches: list[Batch], world: str) -> list[int]:
    """Which pictures the batches hold."""
    return [round(float(x[0].mean() + 1) * 12.75) for batch in batches for x in batch[world]]


def take(stream: TrainLoader, count: int, step: int = 0, rank: int = 0, world: int = 1) -> list[Batch]:
    return [seen(batch) for batch in islice(stream.batches(step, rank, world), count)]


def seen(batch: Batch) -> Batch:
    """As networks see it."""
    return {name: normalise(images) for name, images in batch.items()}


def equal(some: list[Batch], others: list[Batch]) -> bool:
    return len(some) == len(others) and all(
        torch.equal(one[world], other[world]) for one, other in zip(some, others, strict=True) for world in "AB"
    )


@pytest.fixture(scope="module")
def unpaired(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("unpaired")
    make(root / "trainA", "A", 5)
    make(root / "trainB", "B", 7)
    make(root / "testA", "A", 10, start=10)
    make(root / "testB", "B", 4, start=10)
    return root


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("paired")
    for folder in ("train", "test"):
        for world in "AB":
            make(root / folder / world, world, 6)
    return root


@pytest.fixture(scope="module")
def aligned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("aligned")
    for index in range(6):
        halves = np.concatenate([np.full((SIZE, SIZE, 3), tint(world, index), np.uint8) for world in "AB"], axis=1)
        (root / "train").mkdir(exist_ok=True)
        Image.fromarray(halves).save(root / "train" / f"{index}.png")
    return root


def test_batches_are_what_training_expects(unpaired: Path) -> None:
    (batch,) = take(stream_of(unpaired, batch=3, channels_b=1), 1)
    assert batch["A"].shape == (3, 3, 6, 6)
    assert batch["B"].shape == (3, 1, 6, 6)
    assert batch["A"].dtype == torch.float32
    assert batch["A"].min() >= -1
    assert batch["A"].max() <= 1
    assert torch.allclose(batch["A"][:, 1], torch.tensor(200 / 127.5 - 1))


def test_eight_bits_travel_as_eight_bits(unpaired: Path) -> None:
    batch = next(stream_of(unpaired, batch=3).batches(0))
    assert {images.dtype for images in batch.values()} == {torch.uint8}
    Image.fromarray(np.full((SIZE, SIZE), 40000, np.uint16)).save(unpaired / "trainA" / "deep.png")
    deep = [batch["A"] for batch in islice(stream_of(unpaired, batch=3).batches(0), 2)]
    assert {images.dtype for images in deep} == {torch.uint8, torch.float32}
    (unpaired / "trainA" / "deep.png").unlink()
    (floats,) = (images for images in deep if images.dtype == torch.float32)
    assert any(torch.allclose(image, torch.tensor(40000 / 32767.5 - 1)) for image in floats)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(unpaired: Path, workers: int) -> None:
    torch.manual_seed(0)
    expected = take(stream_of(unpaired, batch=2), 12)
    state = torch.get_rng_state()
    assert equal(take(stream_of(unpaired, batch=2, workers=workers), 12), expected)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(0)
    assert torch.equal(torch.get_rng_state(), state)  # nor did the stream without workers draw from torch


@pytest.mark.parametrize("step", [1, 4, 11, 1000])
def test_any_start(unpaired: Path, step: int) -> None:
    stream = stream_of(unpaired, batch=2)
    whole = take(stream, 15, step=max(0, step - 11))
    assert equal(take(stream, 4, step=step), whole[min(step, 11) :][:4])
    assert equal(take(stream_of(unpaired, batch=2), 4, step=step), take(stream, 4, step=step))


def test_two_ranks_see_what_one_sees_with_twice_the_batch(unpaired: Path, paired: Path) -> None:
    for root, layout in ((unpaired, "auto"), (paired, "paired")):
        whole = take(stream_of(root, batch=2, layout=layout), 9, step=3)
        ranks = [take(stream_of(root, batch=1, layout=layout), 9, step=3, rank=rank, world=2) for rank in (0, 1)]
        joined = [{w: torch.cat([one[w], other[w]]) for w in "AB"} for one, other in zip(*ranks, strict=True)]
        assert equal(joined, whole)


def test_each_epoch_is_a_permutation_and_they_differ(unpaired: Path) -> None:
    batches = take(stream_of(unpaired), 35)
    for world, length in (("A", 5), ("B", 7)):
        drawn = numbers(batches, world)
        epochs = [tuple(drawn[start : start + length]) for start in range(0, 35, length)]
        assert all(sorted(epoch) == list(range(length)) for epoch in epochs)
        assert len(set(epochs)) > 1
    assert numbers(batches, "A")[:5] != numbers(batches, "B")[:5]


def test_ranks_are_disjoint(unpaired: Path) -> None:
    first, second = (take(stream_of(unpaired), 100, rank=rank, world=2) for rank in (0, 1))
    for world, length in (("A", 5), ("B", 7)):
        one, other = numbers(first, world), numbers(second, world)
        order = [number for pair in zip(one, other, strict=True) for number in pair]
        assert all(set(order[s : s + length]) == set(range(length)) for s in range(0, 200 - length, length))


def test_worlds_of_the_same_length_have_their_own_orders(paired: Path) -> None:
    batches = take(stream_of(paired), 30)  # read as unpaired
    assert numbers(batches, "A") != numbers(batches, "B")


def test_the_seed_decides(unpaired: Path) -> None:
    assert equal(take(stream_of(unpaired, seed=1), 5), take(stream_of(unpaired, seed=1), 5))
    assert not equal(take(stream_of(unpaired, seed=1), 5), take(stream_of(unpaired, seed=2), 5))


def test_crops_of_unpaired_worlds_are_independent_and_of_pairs_are_not(unpaired: Path, paired: Path) -> None:
    def crops_agree(root: Path, layout: str) -> set[bool]:
        stream = stream_of(root, layout=layout)
        return {torch.equal(batch["A"][0, 2], batch["B"][0, 2]) for batch in take(stream, 30)}

    assert crops_agree(unpaired, "auto") == {True, False}
    assert crops_agree(paired, "paired") == {True}


def test_pairs_stay_together(paired: Path, aligned: Path) -> None:
    for root, layout in ((paired, "paired"), (aligned, "auto")):
        batches = take(stream_of(root, layout=layout), 18)
        assert numbers(batches, "A") == numbers(batches, "B")
        assert Counter(numbers(batches, "A")) == Counter(dict.fromkeys(range(6), 3))
        assert all(
            torch.allclose(batch[world][:, 1], torch.tensor(level / 127.5 - 1))
            for batch in batches
            for world, level in (("A", 200), ("B", 100))
        )


def test_steps_per_epoch(unpaired: Path) -> None:
    assert stream_of(unpaired).steps_per_epoch() == 7
    assert stream_of(unpaired, batch=2).steps_per_epoch() == 3
    assert stream_of(unpaired).steps_per_epoch(world_size=3) == 2
    assert stream_of(unpaired, batch=50).steps_per_epoch() == 1


def test_samples_are_spread_over_the_test_pictures(unpaired: Path) -> None:
    stream = stream_of(unpaired)
    samples = stream.test_samples(5)
    assert [sample.name for sample in samples] == ["10", "12", "14", "16", "18"]
    assert all(sample.b is not None for sample in samples), "four test pictures of B, and one of training"
    assert not samples[0].paired
    assert samples[0].a is not None
    assert samples[0].a.shape == (3, 6, 6)
    assert len(stream.test_samples()) == 10
    assert [sample.b is None for sample in stream.test_samples()] == [False] * 4 + [True] * 6
    assert all(
        torch.equal(one.a, other.a)
        for one, other in zip(samples, stream.test_samples(5), strict=True)
        if one.a is not None
    )


def test_samples_of_pairs_and_without_a_test_split(paired: Path, aligned: Path) -> None:
    pairs = stream_of(paired, layout="paired").test_samples(3)
    assert [sample.name for sample in pairs] == ["00", "02", "04"]
    from_training = stream_of(aligned).test_samples(2)
    assert [sample.name for sample in from_training] == ["0", "3"]
    for sample in pairs + from_training:
        assert sample.paired
        assert sample.a is not None
        assert sample.b is not None
        assert float(sample.a[0].mean()) == pytest.approx(float(sample.b[0].mean()), abs=1e-6)


def test_a_pair_of_different_sizes_is_brought_together(tmp_path: Path) -> None:
    make(tmp_path / "A", "A", 3)
    make(tmp_path / "B", "B", 3)
    for path in (tmp_path / "B").iterdir():
        with Image.open(path) as image:
            image.resize((2 * SIZE, SIZE)).save(path)
    for mode in ("stretch", "short_side", "none"):
        stream = stream_of(tmp_path, layout="paired", resize=mode)
        for batch in take(stream, 3):
            assert (batch["A"][0, 2] - batch["B"][0, 2]).abs().max() < 0.15
        for sample in stream.test_samples():
            assert sample.a is not None
            assert sample.b is not None
            assert (sample.a[2] - sample.b[2]).abs().max() < 0.15


def break_some(folder: Path, *indices: int) -> list[Path]:
    paths = [folder / f"{index:02d}.png" for index in indices]
    for path in paths:
        path.write_text("<html>not found</html>")
    return paths


@pytest.mark.parametrize("workers", [0, 1])
def test_one_broken_file_is_skipped_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture, workers: int) -> None:
    make(tmp_path / "trainA", "A", 5)
    make(tmp_path / "trainB", "B", 5)
    whole = numbers(take(stream_of(tmp_path), 15), "A")
    (path,) = break_some(tmp_path / "trainA", 3)
    stream = stream_of(tmp_path, workers=workers)
    with caplog.at_level(logging.WARNING, "viceversa"):
        batches = take(stream, 15)
    drawn = numbers(batches, "A")
    for place, number in enumerate(whole):
        epoch = place // 5 * 5
        following = whole[epoch + (place - epoch + 1) % 5]  # the next of the same permutation
        assert drawn[place] == (following if number == 3 else number)
    assert stream.broken == {str(path): f"{path}: a web page or other text, not a picture"}
    assert [record.getMessage() for record in caplog.records] == [f"skipped: {stream.broken[str(path)]}"]
    assert equal(take(stream_of(tmp_path), 4, step=9), batches[9:13])


@pytest.mark.parametrize("workers", [0, 1])
def test_too_many_broken_files_stop_the_training(tmp_path: Path, workers: int) -> None:
    make(tmp_path / "trainA", "A", 5)
    make(tmp_path / "trainB", "B", 5)
    break_some(tmp_path / "trainA", 3, 4)
    stream = stream_of(tmp_path, workers=workers)
    with pytest.raises(
        ImageError, match=r"2 of 10 pictures cannot be read: .*03\.png, .*04\.png; remove or repair them"
    ):
        take(stream, 5)


def test_a_draw_gives_up_when_there_are_too_many_broken_files(tmp_path: Path) -> None:
    make(tmp_path / "trainA", "A", 5)
    make(tmp_path / "trainB", "B", 5)
    break_some(tmp_path / "trainA", *range(5))
    with pytest.raises(ImageError, match=r"^2 of 10"):  # no need to read them all
        take(stream_of(tmp_path), 1)


def test_one_in_a_hundred_is_tolerated(tmp_path: Path) -> None:
    make(tmp_path / "trainA", "A", 150)
    make(tmp_path / "trainB", "B", 60)
    break_some(tmp_path / "trainA", 3, 77)
    stream = stream_of(tmp_path, batch=30)
    assert stream.tolerated == 2
    take(stream, 5)
    assert len(stream.broken) == 2
    break_some(tmp_path / "trainA", 5)
    with pytest.raises(ImageError, match="3 of 210"):
        take(stream_of(tmp_path, batch=30), 5)


def test_a_world_without_any_sound_picture(tmp_path: Path) -> None:
    make(tmp_path / "trainA", "A", 1)
    make(tmp_path / "trainB", "B", 5)
    break_some(tmp_path / "trainA", 0)
    with pytest.raises(ImageError, match=r"no picture can be read: .*00\.png"):
        take(stream_of(tmp_path), 1)


def test_a_pair_with_a_broken_half_is_left_out_as_a_whole(tmp_path: Path) -> None:
    make(tmp_path / "A", "A", 4)
    make(tmp_path / "B", "B", 4)
    (path,) = break_some(tmp_path / "B", 2)
    stream = stream_of(tmp_path, layout="paired")
    batches = take(stream, 12)
    assert numbers(batches, "A") == numbers(batches, "B")
    assert set(numbers(batches, "A")) == {0, 1, 3}
    assert list(stream.broken) == [str(path)]
    assert [sample.name for sample in stream_of(tmp_path, layout="paired").test_samples()] == ["00", "01", "03"]


def test_broken_test_pictures_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(tmp_path / "A", "A", 3)
    make(tmp_path / "B", "B", 3)
    (path,) = break_some(tmp_path / "A", 0)
    stream = stream_of(tmp_path)
    assert [sample.name for sample in stream.test_samples()] == ["01", "02", "02"]
    assert list(stream.broken) == [str(path)]
    assert len(caplog.records) == 1


def test_workers_leave_ctrl_c_to_the_main_process_and_end_with_the_stream(unpaired: Path) -> None:
    before = set(multiprocessing.active_children())
    batches = stream_of(unpaired, workers=1).batches(0)
    first = [seen(next(batches))]
    (worker,) = set(multiprocessing.active_children()) - before
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGINT)
    assert equal(first + [seen(next(batches)) for _ in range(9)], take(stream_of(unpaired), 10))
    batches.close()
    worker.join(5)
    assert not worker.is_alive()


def test_more_workers_than_cores_do_not_warn(unpaired: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(take(stream_of(unpaired, workers=(os.cpu_count() or 1) + 1), 1)) == 1


def test_crops_can_end_when_the_learning_rate_falls(tmp_path: Path) -> None:
    """CUT's code shows whole pictures during decay: load = crop."""
    for world in ("trainA", "trainB"):
        for i in range(2):
            write_image(tmp_path / world / f"{i}.png", np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3))
    options = [f"data.root={tmp_path}", "data.load=16", "data.crop=8", "data.flip=false", "data.workers=0"]
    lengths = ["train.length=6 steps", "train.decay=3 steps", "data.test_fraction=0"]
    stream = open_loader(load_config(None, [*options, *lengths, "data.decay_crop=false"]))
    whole = to_tensor(resize(np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3), (8, 8)))
    shown = [
        torch.equal(normalise(batch["A"][0]), whole) for _, batch in zip(range(6), stream.batches(0), strict=False)
    ]
    assert shown == [False] * 3 + [True] * 3
    shown = [
        torch.equal(normalise(batch["A"][0]), whole) for _, batch in zip(range(3), stream.batches(3), strict=False)
    ]
    assert shown == [True] * 3
