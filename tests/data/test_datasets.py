"""Pictures of a world, wherever they lie."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from viceversa.data import FileSample, ImageError, Sample, datasets
from viceversa.data.datasets import open_each
from viceversa.data.image_data import ImageData
from viceversa.data.image_io import read_image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "class").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (4, 9, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "class" / "x.old.png")
    Image.new("L", (1, 5)).save(tmp_path / "thin.png")
    (tmp_path / "text.png").write_text("<html>")
    return tmp_path


def test_a_file(folder: Path) -> None:
    item: Sample = FileSample(folder, "class/x.old.png")
    assert item.name == "class/x.old"
    assert str(item) == str(folder / "class" / "x.old.png")
    assert item.open().pixels.shape == (4, 9, 3)
    assert pickle.loads(pickle.dumps(item)) == item
    text = FileSample(folder, "text.png")
    with pytest.raises(ImageError, match=r"text\.png: a web page"):
        text.open()


def test_halves(folder: Path) -> None:
    whole = FileSample(folder, "class/x.old.png").open()
    left, right = (FileSample(folder, "class/x.old.png", side) for side in ("left", "right"))
    assert left.name == right.name
    assert str(left) == str(right)
    assert whole.alpha is not None
    for item, columns in ((left, slice(0, 4)), (right, slice(5, 9))):
        picture = item.open()
        assert np.array_equal(picture.pixels, whole.pixels[:, columns])
        assert picture.alpha is not None
        assert np.array_equal(picture.alpha, whole.alpha[:, columns])
    with pytest.raises(ImageError, match=r"thin\.png: too narrow to hold two pictures"):
        FileSample(folder, "thin.png", "left").open()


def test_halves_share_a_decoding(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def counting(path: Path) -> ImageData:
        opened.append(path.name)
        return read_image(path)

    monkeypatch.setattr(datasets, "read_image", counting)
    halves = [FileSample(folder, "class/x.old.png", side) for side in ("left", "right")]
    left, right = open_each(halves)
    assert opened == ["x.old.png"]
    assert isinstance(left, ImageData)
    assert isinstance(right, ImageData)
    assert np.array_equal(right.pixels, halves[1].open().pixels)


def test_each_broken_item_has_its_own_reason(folder: Path) -> None:
    found = open_each(
        [FileSample(folder, "text.png"), FileSample(folder, "class/x.old.png"), FileSample(folder, "thin.png", "left")]
    )
    assert [str(one).partition(": ")[2] for one in (found[0], found[2])] == [
        "a web page or other text, not a picture",
        "too narrow to hold two pictures side by side",
    ]
    assert isinstance(found[1], ImageData)
