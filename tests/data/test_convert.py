"""From any layout to any other and back: no pixel, name or split is lost; nothing half written, nothing overwritten."""

from __future__ import annotations

import itertools
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from viceversa.config import DataConfig
from viceversa.data.convert import convert
from viceversa.data.image_data import with_channels
from viceversa.data.layouts import find

Contents = Mapping[str, Any]


def draw(seed: int, mode: str, size: tuple[int, int]) -> Image.Image:
    """An image of noise."""
    rng = np.random.default_rng(seed)
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 65536, size[::-1], np.uint16))
    bands = [Image.fromarray(rng.integers(0, 256, size[::-1], np.uint8)) for _ in Image.new(mode, (1, 1)).getbands()]
    return Image.merge(mode, bands)


def fill(folder: Path, names: Mapping[str, int], mode: str = "RGB", size: tuple[int, int] = (5, 4)) -> None:
    """Write an image of noise for each name; its number is the seed."""
    for name, seed in names.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(seed, mode, size).save(path)


def look(root: Path, layout: str = "auto") -> Contents:
    """All that lies there: by split, the pixels of each item, by name; pairs as pairs."""
    found = find(as_data(root, layout))[1].splits()
    return {
        name: (split.paired, look_at(split.a, f"{name}A/"), look_at(split.b, f"{name}B/"))
        for name, split in found.items()
    }


def look_at(items: Any, folder: str) -> dict[str, tuple[str, bytes]]:
    pixels = {item.name.removeprefix(folder): with_channels(item.open(), 4) for item in items}
    return {name: (f"{array.shape} {array.dtype}", array.tobytes()) for name, array in pixels.items()}


def as_data(root: Path, layout: str = "auto") -> DataConfig:
    return DataConfig(root=str(root), layout=layout)  # type: ignore[arg-type]


STEMS = st.text("abÄß01_ -.\udce9", min_size=1, max_size=5).filter(lambda stem: stem.strip(". ") == stem)
NAMES = st.lists(st.tuples(st.sampled_from(["", "cats/", "dogs/old/"]), STEMS).map("".join), min_size=1, max_size=4)
SPLITS = st.sets(st.sampled_from(["val", "test"])).map(lambda rest: ["train", *sorted(rest)])
MODES = st.sampled_from(["RGB", "L", "RGBA", "LA", "I;16"])
quick = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(st.data(), SPLITS, st.permutations(["trainA", "csv", "trainA"]))
def test_unpaired_there_and_back(data: st.DataObject, splits: list[str], tour: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for number, (split, domain) in enumerate(itertools.product(splits, "AB")):
            stems = sorted({stem.casefold() for stem in data.draw(NAMES)})
            files = {f"{s}.{data.draw(st.sampled_from(['png', 'tif']))}": 10 * number + i for i, s in enumerate(stems)}
            fill(root / "0" / f"{split}{domain}", files, data.draw(MODES), (data.draw(st.integers(1, 6)), 3))
        expected = look(root / "0")
        for step, to in enumerate([*tour, "trainA"]):
            convert(as_data(root / str(step)), root / str(step + 1), to)
            assert look(root / str(step + 1)) == expected, to
        first, last = ({p.relative_to(root / s): p.read_bytes() for p in (root / s).rglob("*.*")} for s in "04")
        assert first == last  # files, byte for byte


@quick
@given(NAMES, SPLITS, st.permutations(["trainA", "csv", "aligned"]), MODES, st.integers(1, 6))
def test_pairs_there_and_back(names: list[str], splits: list[str], tour: list[str], mode: str, width: int) -> None:
    stems = sorted({stem.casefold() for stem in names})
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for number, (split, domain) in enumerate(itertools.product(splits, "AB")):
            files = {f"{s}.png": 10 * number + i for i, s in enumerate(stems)}
            fill(root / "0" / split / domain, files, mode, (width, 3))
        expected = look(root / "0", "paired")
        insist = "paired"
        for step, to in enumerate([*tour, "trainA"]):
            convert(as_data(root / str(step), insist), root / str(step + 1), to)
            insist = {"aligned": "aligned", "csv": "auto"}.get(to, "paired")
            assert look(root / str(step + 1), insist) == expected, to


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    for domain, start in (("A", 0), ("B", 50)):
        for number, split in enumerate(("train", "test")):
            fill(tmp_path / "in" / split / domain, {f"{i}.png": start + 10 * number + i for i in range(3)})
    return tmp_path / "in"


def test_side_by_side_is_left_and_right(pairs: Path, tmp_path: Path) -> None:
    outcome = convert(as_data(pairs), tmp_path / "out", "aligned")
    assert outcome.counts == "train 3 pairs; test 3 pairs"
    with Image.open(tmp_path / "out" / "test" / "1.png") as image:
        assert np.array_equal(np.asarray(image), np.hstack([draw(11, "RGB", (5, 4)), draw(61, "RGB", (5, 4))]))


@pytest.mark.parametrize(
    ("mode", "size", "reason"),
    [
        ("RGB", (6, 4), r"differ in size \(5 x 4, 6 x 4\): resize them first, or keep them in two folders"),
        ("I;16", (5, 4), "only images of 8 bits"),
        ("F", (5, 4), "only images of 8 bits"),
    ],
)
def test_what_cannot_be_joined_without_loss_is_left_out_and_said(
    tmp_path: Path, mode: str, size: tuple[int, int], reason: str
) -> None:
    fill(tmp_path / "in" / "A", {"1.png": 1, "2.png": 2})
    fill(tmp_path / "in" / "B", {"1.png": 3})
    noise = Image.fromarray(np.full(size[::-1], 1 / 3, np.float32)) if mode == "F" else draw(4, mode, size)
    noise.save(tmp_path / "in" / "B" / "2.tif")
    outcome = convert(as_data(tmp_path / "in"), tmp_path / "out", "aligned")
    (failure,) = outcome.failed.values()
    assert re.search(reason, failure)
    assert "2.png" in failure
    assert os.listdir(tmp_path / "out" / "train") == ["1.png"]


def test_nothing_is_written_where_something_is_and_nothing_half(pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("precious")
    with pytest.raises(FileExistsError, match="not empty"):
        convert(as_data(pairs), tmp_path / "out", "aligned")
    for place in (pairs, pairs.parent, pairs / "new"):
        with pytest.raises(FileExistsError, match="lies within"):
            convert(as_data(pairs), place, "aligned", overwrite=True)

    convert(as_data(pairs), tmp_path / "out", "aligned", overwrite=True)
    assert sorted(os.listdir(tmp_path / "out")) == ["test", "train"]
    assert sorted(os.listdir(tmp_path)) == ["in", "out"]


def test_names_that_clash_are_refused(tmp_path: Path) -> None:
    fill(tmp_path / "in" / "train", {"1.png": 1, "1.jpg": 2}, size=(8, 4))
    with pytest.raises(ValueError, match=r"trainA/1\.png: taken"):
        convert(as_data(tmp_path / "in"), tmp_path / "out", "trainA")
