"""Shards: any row at any time, so training from them is training from folders; made by us or by others."""

from __future__ import annotations

import itertools
import pickle
import struct
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from viceversa.config import Config, ConfigError, DataConfig, TrainConfig
from viceversa.data import ImageError, open_loader
from viceversa.data.layouts import find
from viceversa.data.prepare.convert import convert


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VICEVERSA_CACHE", str(tmp_path / "cache"))


def noise(seed: int, size: tuple[int, int] = (9, 8)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), np.uint8))


def png(seed: int) -> bytes:
    buffer = BytesIO()
    noise(seed).save(buffer, "PNG")
    return buffer.getvalue()


def fill(root: Path, folders: tuple[str, ...], count: int = 6) -> None:
    seed = itertools.count()
    for folder in folders:
        (root / folder / "deep").mkdir(parents=True)
        for number in range(count):
            noise(next(seed)).save(root / folder / ("deep" if number % 2 else "") / f"{number}.png")


def training(root: Path, rank: int = 0, world: int = 1, step: int = 0, **data: Any) -> list[dict[str, torch.Tensor]]:
    options: dict[str, Any] = {"load": 12, "crop": 7, "workers": 0, **data}
    config = Config(data=DataConfig(root=str(root), **options), train=TrainConfig(batch=2))
    return list(itertools.islice(open_loader(config).batches(step, rank, world), 9))


def same(some: list[dict[str, torch.Tensor]], others: list[dict[str, torch.Tensor]]) -> bool:
    return all(torch.equal(one[w], other[w]) for one, other in zip(some, others, strict=True) for w in "AB")


def write(source: Path, out: Path, layout: str = "unpaired") -> None:
    """Write a data set of folders as several shards a split."""
    found = find(DataConfig(root=str(source), layout=layout))[1]  # type: ignore[arg-type]
    out.mkdir(exist_ok=True)
    for name, split in (("train", found.train), ("test", found.test)):
        if split is None:
            continue
        sides = {domain: [(item.name, Path(str(item)).read_bytes()) for item in split.of(domain)] for domain in "AB"}
        rows = [
            {"name": stem, "domain": domain, "image": data} for domain, side in sides.items() for stem, data in side
        ]
        if split.paired:
            rows = [{"name": a[0], "a": a[1], "b": b[1]} for a, b in zip(sides["A"], sides["B"], strict=True)]
        for part in (0, 1):
            half = rows[part * len(rows) // 2 : (part + 1) * len(rows) // 2]
            datasets.Dataset.from_list(half).to_parquet(out / f"{name}-{part:05d}-of-00002.parquet")


@pytest.mark.parametrize("layout", ["unpaired", "paired"])
def test_training_from_shards_is_training_from_folders(tmp_path: Path, layout: Any) -> None:
    fill(tmp_path / "in", ("trainA", "trainB", "testA", "testB"))
    write(tmp_path / "in", tmp_path / "out", layout)
    expected = training(tmp_path / "in", layout=layout)
    assert same(training(tmp_path / "out"), expected)
    assert same(training(tmp_path / "out", workers=2), expected)
    assert same(training(tmp_path / "out", step=4)[:5], expected[4:])
    assert same(training(tmp_path / "out", rank=1, world=2), training(tmp_path / "in", rank=1, world=2, layout=layout))
    loader = open_loader(Config(data=DataConfig(root=str(tmp_path / "out"))))
    assert loader.splits.layout == "shards"
    assert len(loader.splits.test.a) == 6
    convert(DataConfig(root=str(tmp_path / "out")), tmp_path / "back", "trainA")
    files = {path.relative_to(tmp_path / "in"): path.read_bytes() for path in (tmp_path / "in").rglob("*.png")}
    assert files == {
        path.relative_to(tmp_path / "back"): path.read_bytes() for path in (tmp_path / "back").rglob("*.png")
    }


def test_others_write_them_otherwise(tmp_path: Path) -> None:
    rows = [{"image": png(i), "domain": "ab"[i % 2], "split": "validation" if i > 7 else "train"} for i in range(10)]
    (tmp_path / "flat" / "data").mkdir(parents=True)
    datasets.Dataset.from_list(rows).to_parquet(tmp_path / "flat" / "data" / "any.parquet")
    _, found = find(DataConfig(root=str(tmp_path / "flat")))
    assert found.val
    assert [len(found.train.a), len(found.train.b), len(found.val.a), len(found.val.b)] == [4, 4, 1, 1]
    assert found.train.b[1].name == "00000003"
    assert np.array_equal(found.train.b[1].open().pixels, noise(3))

    features = datasets.Features({"a": datasets.Image(), "b": datasets.Image()})
    pairs = datasets.Dataset.from_dict({"a": [noise(0), noise(1)], "b": [noise(2), noise(3)]}, features=features)
    pairs.save_to_disk(tmp_path / "arrow")
    _, found = find(DataConfig(root=str(tmp_path / "arrow")))
    assert found.train.paired
    assert np.array_equal(found.train.b[1].open().pixels, noise(3))
    assert not (tmp_path / "cache" / "shards").exists() or not list((tmp_path / "cache" / "shards").rglob("*arrow/*"))


def test_rows_travel_between_processes_without_their_pictures(tmp_path: Path) -> None:
    fill(tmp_path / "in", ("trainA", "trainB"), 40)
    write(tmp_path / "in", tmp_path / "out")
    samples = find(DataConfig(root=str(tmp_path / "out")))[1].train.a
    assert len(pickle.dumps(samples)) < 10_000
    assert np.array_equal(pickle.loads(pickle.dumps(samples))[7].open().pixels, samples[7].open().pixels)
    assert samples[0].name == "0"


def test_changed_shards_are_read_anew(tmp_path: Path) -> None:
    for start, count in ((0, 4), (20, 6)):
        fill(tmp_path / f"in{start}", ("trainA", "trainB"), count)
        write(tmp_path / f"in{start}", tmp_path / "out")
        assert len(find(DataConfig(root=str(tmp_path / "out")))[1].train.a) == count


def test_a_cell_that_is_no_picture_is_skipped_like_a_broken_file(tmp_path: Path) -> None:
    rows = [{"a": png(i), "b": png(i)} for i in range(3)]
    rows[1]["b"] = b"<html>"
    datasets.Dataset.from_list(rows).to_parquet(tmp_path / "train.parquet")
    samples = find(DataConfig(root=str(tmp_path)))[1].train.b
    with pytest.raises(ImageError, match=r"train, row 1: a web page or other text, not a picture") as raised:
        samples[1].open()
    assert "\n" not in str(raised.value)
    assert len(training(tmp_path)) == 9


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"x": 1}], r"columns x; expected a and b \(pairs\), or image and domain \(A or B\)"),
        ([{"image": b"", "domain": "C"}], "column domain holds more than A and B"),
        ([{"a": b"", "b": b"", "split": "tests"}], "column split: use train, test, val"),
        (None, "shards that cannot be read"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, rows: Any, message: str) -> None:
    if rows is None:
        (tmp_path / "train.parquet").write_bytes(b"PAR1 but no more")
    else:
        datasets.Dataset.from_list(rows).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(ConfigError, match=message) as raised:
        find(DataConfig(root=str(tmp_path)))
    assert "\n" not in str(raised.value)


def test_pictures_beyond_the_end_of_an_arrow_file_are_refused(tmp_path: Path) -> None:
    offsets, bytes_there = pa.py_buffer(struct.pack("<3i", 0, 2**30, 6)), pa.py_buffer(b"abcdef")
    b = pa.Array.from_buffers(pa.binary(), 2, [None, offsets, bytes_there])
    table = pa.table({"a": pa.array([b"x", b"y"]), "b": b})
    with pa.OSFile(str(tmp_path / "train.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(ConfigError, match=r"shards that cannot be read \(.*offset for slot 1 out of bounds"):
        find(DataConfig(root=str(tmp_path)))


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.parquet").touch()
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r'pip install "viceversa\[data\]"'):
        find(DataConfig(root=str(tmp_path)))
