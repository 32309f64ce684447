"""Shards: any row at any time, so training from them is training from folders."""

import itertools
import pickle
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from batches import config_of, draw, equal
from PIL import Image

import support
from viceversa.config import ConfigError, DataConfig
from viceversa.data import ImageError, find_splits

pytestmark = pytest.mark.usefixtures("cache")


def noise(seed: int) -> Image.Image:
    return Image.fromarray(support.noise(8, 9, 3, seed=seed))


def png(seed: int) -> bytes:
    buffer = BytesIO()
    noise(seed).save(buffer, "PNG")
    return buffer.getvalue()


def write(folder: Path, rows: list[dict[str, Any]], name: str = "train.parquet") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_list(rows).to_parquet(folder / name)


@pytest.mark.parametrize("layout", ["unpaired", "paired"])
def test_training_from_shards_is_training_from_folders(tmp_path: Path, layout: Any) -> None:
    numbers = itertools.count()
    for split, part in itertools.product(("train", "test"), (0, 1)):
        rows: list[dict[str, Any]] = []
        for i in range(3 * part, 3 * part + 3):
            cells = {domain: png(next(numbers)) for domain in "ab"}
            for domain, content in cells.items():
                support.save(tmp_path / "in" / f"{split}{domain.upper()}" / f"{i}.png", Image.open(BytesIO(content)))
                rows += [{"name": str(i), "domain": domain.upper(), "image": content}] * (layout == "unpaired")
            rows += [{"name": str(i), **cells}] * (layout == "paired")
        write(tmp_path / "out", rows, f"{split}-{part:05d}-of-00002.parquet")
    folders, shards = config_of(tmp_path / "in", layout=layout), config_of(tmp_path / "out")
    expected = draw(folders)
    assert equal(draw(shards), expected)
    assert equal(draw(config_of(tmp_path / "out", workers=2)), expected)
    assert equal(draw(shards, 5, step=4), expected[4:])
    assert equal(draw(shards, rank=1, ranks=2), draw(folders, rank=1, ranks=2))


def test_others_write_them_otherwise(tmp_path: Path) -> None:
    rows = [{"image": png(i), "domain": "ab"[i % 2], "split": "validation" if i > 7 else "train"} for i in range(10)]
    write(tmp_path / "flat" / "data", rows, "any.parquet")
    found = find_splits(DataConfig(root=str(tmp_path / "flat")))
    assert found.note == "shards: 4 A, 4 B; test split: 1 A, 1 B"
    assert found.train.b[1].name == "00000003"
    assert np.array_equal(found.train.b[1].open().pixels, noise(3))
    features = datasets.Features({"a": datasets.Image(), "b": datasets.Image()})
    pairs = datasets.Dataset.from_dict({"a": [noise(0), noise(1)], "b": [noise(2), noise(3)]}, features=features)
    (tmp_path / "pairs").mkdir()
    pairs.to_parquet(tmp_path / "pairs" / "train.parquet")
    train = find_splits(DataConfig(root=str(tmp_path / "pairs"), test_fraction=0)).train
    assert train.paired
    assert np.array_equal(train.b[1].open().pixels, noise(3))


def test_rows_travel_without_their_images_and_changed_shards_are_read_anew(tmp_path: Path) -> None:
    for count in (4, 60):
        write(tmp_path / "out", [{"a": png(i), "b": png(i + 100)} for i in range(count)])
        samples = find_splits(DataConfig(root=str(tmp_path / "out"), test_fraction=0)).train.b
        assert len(samples) == count
    sent = pickle.dumps(samples)
    assert len(sent) < 10_000
    assert np.array_equal(pickle.loads(sent)[7].open().pixels, noise(107))


def test_a_cell_that_is_no_image_is_skipped_like_a_broken_file(tmp_path: Path) -> None:
    write(tmp_path, [{"a": png(i), "b": b"<html>" if i == 1 else png(i)} for i in range(3)])
    samples = find_splits(DataConfig(root=str(tmp_path), test_fraction=0)).train.b
    with pytest.raises(ImageError, match=r"train, row 1: a web page or other text, not a picture") as raised:
        samples[1].open()
    assert "\n" not in str(raised.value)
    assert len(draw(config_of(tmp_path))) == 9


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"x": 1}], r"columns x; expected a and b \(pairs\), or image and domain \(A or B\)"),
        ([{"image": b"", "domain": "C"}], "column domain holds more than A and B"),
        ([{"a": b"", "b": b"", "split": "tests"}], "split is 'tests'; use train, test or val"),
        (b"PAR1 but no more", "shards that cannot be read"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, rows: Any, message: str) -> None:
    if isinstance(rows, bytes):
        (tmp_path / "train.parquet").write_bytes(rows)
    else:
        write(tmp_path, rows)
    with pytest.raises(ConfigError, match=message) as raised:
        find_splits(DataConfig(root=str(tmp_path)))
    assert "\n" not in str(raised.value)


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.parquet").touch()
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r'pip install "viceversa\[data\]"'):
        find_splits(DataConfig(root=str(tmp_path)))
