"""Dividing: by a hash of the name, copies and pairs together, what is split already left in place."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from viceversa.config import ConfigError, DataConfig
from viceversa.data import FileSample, find_splits
from viceversa.data.datasets import Split
from viceversa.data.layouts import find
from viceversa.data.split import divide, split_data


def fill(folder: Path, numbers: Any, start: int = 0, size: tuple[int, int] = (4, 4)) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        shade = start + number
        Image.new("RGB", size, (shade % 256, shade // 256, 7)).save(folder / f"{number}.bmp")  # all of the same length


def names(root: Path, **data: Any) -> dict[str, tuple[list[str], ...]]:
    found = find(DataConfig(root=str(root), **data))[1].splits()
    return {
        name: tuple([os.path.basename(sample.name) for sample in samples] for samples in (split.a, split.b))
        for name, split in found.items()
    }


def test_the_manifest_says_what_belongs_where_and_training_finds_it(tmp_path: Path) -> None:
    fill(tmp_path / "A", range(60))
    fill(tmp_path / "B", range(40), start=500)
    before = sorted(tmp_path.rglob("*.*"))
    done = split_data(DataConfig(root=str(tmp_path)), test=0.2, val=0.1)
    assert sorted({*tmp_path.rglob("*.*")} - {tmp_path / "manifest.csv"}) == before
    assert done.place.read_text().splitlines()[:2] == ["a,b,split", "A/0.bmp,,train"]
    found = names(tmp_path)
    for domain, count in ((0, 60), (1, 40)):
        parts = [found[split][domain] for split in ("train", "val", "test")]
        assert sorted(map(int, itertools.chain(*parts))) == list(range(count))
        assert all(parts)
    unpaired = DataConfig(root=str(tmp_path), layout="unpaired", test_fraction=0.2)
    assert [s.name for s in find_splits(unpaired).test.a] == found["test"][0]  # what training would hold out by itself
    with pytest.raises(FileExistsError):
        split_data(unpaired)
    split_data(unpaired, overwrite=True)
    assert names(tmp_path).keys() == {"train", "test"}


def test_side_by_side_files_have_no_manifest(tmp_path: Path) -> None:
    fill(tmp_path, range(5), size=(8, 4))
    with pytest.raises(ConfigError, match="data convert ROOT OUT --to csv"):
        split_data(DataConfig(root=str(tmp_path)))
    assert not (tmp_path / "manifest.csv").exists()


def test_copies_stay_together_across_domains_and_in_pairs(tmp_path: Path) -> None:
    fill(tmp_path / "A", range(40))
    fill(tmp_path / "B", range(40), start=500)
    for copy, original in (("A/100", "A/0"), ("A/101", "A/0"), ("A/102", "A/7"), ("B/200", "A/3")):
        shutil.copy(tmp_path / f"{original}.bmp", tmp_path / f"{copy}.bmp")
    for part in (0.1, 0.5, 0.9):
        done = split_data(DataConfig(root=str(tmp_path), layout="unpaired"), test=part, overwrite=True)
        assert done.duplicates == 4
        sides = {
            f"{d}{n}": name
            for name, own in names(tmp_path).items()
            for d, ns in zip("AB", own, strict=True)
            for n in ns
        }
        assert sides["A0"] == sides["A100"] == sides["A101"]
        assert (sides["A7"], sides["A3"]) == (sides["A102"], sides["B200"])
        assert all(sides[f"A{n}"] == sides[f"B{n}"] for n in range(40))  # both domains of a scene
    for number in (100, 101, 102):  # as pairs: of different answers to the same question
        shutil.copy(tmp_path / "B" / "9.bmp", tmp_path / "B" / f"{number}.bmp")
    split_data(DataConfig(root=str(tmp_path), layout="paired"), test=0.5, overwrite=True)
    by_name = {n: split for split, (own, _) in names(tmp_path).items() for n in own}
    assert len({by_name[n] for n in ("9", "100", "101", "102", "0", "7")}) == 1


def test_what_is_split_already_stays(tmp_path: Path) -> None:
    for folder, numbers in {"trainA": range(30), "trainB": range(500, 530), "testA": range(100, 103)}.items():
        fill(tmp_path / folder, numbers)
    fill(tmp_path / "testB", range(600, 603))
    shutil.copy(tmp_path / "testA" / "100.bmp", tmp_path / "trainA" / "leak.bmp")
    data = DataConfig(root=str(tmp_path))
    for fractions in ({}, {"test": 0.1}, *({"val": part} for part in (0.0, 1.0, -0.1, 1.5))):
        with pytest.raises(ConfigError):
            split_data(data, **fractions)
    split_data(data, val=0.2)
    found = names(tmp_path)
    assert sorted(found["test"][0]) == ["100", "101", "102", "leak"]
    assert found["test"][1] == ["600", "601", "602"]
    assert len(found["val"][0]) + len(found["train"][0]) == 30


@pytest.fixture(autouse=True)
def no_contents(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the tests of names alone from having files."""
    if "stems" in request.node.name:
        monkeypatch.setattr("viceversa.data.split._of_one_content", lambda units: [])


STEMS = st.lists(st.text("abcÄ1", min_size=1, max_size=3), unique=True, min_size=2, max_size=12)


@given(STEMS, STEMS, st.floats(0.01, 0.98), st.booleans())
def test_stems_decide_and_every_domain_has_its_part(a: list[str], b: list[str], part: float, paired: bool) -> None:
    sides = ((Path("A"), a), (Path("B"), a if paired else b))
    train = Split(*(tuple(FileSample(folder, f"{stem}.png") for stem in stems) for folder, stems in sides), paired)
    divided = divide({"train": train}, {"test": part})[0]
    again = divide({"train": Split(train.a[::-1], train.b[::-1], paired)}, {"test": part})[0]
    for domain in ("a", "b"):
        own = {name: {sample.name for sample in getattr(split, domain)} for name, split in divided.items()}
        assert own["train"] | own["test"] == {sample.name for sample in getattr(train, domain)}
        assert not own["train"] & own["test"]
        assert {sample.name for sample in getattr(again["test"], domain)} == own["test"]  # the order does not matter
    if paired:
        assert [sample.name for sample in divided["test"].a] == [sample.name for sample in divided["test"].b]


@given(st.integers(30, 60), st.integers(1, 30), st.floats(0.1, 0.5))
def test_stems_stay_when_others_come(before: int, added: int, part: float) -> None:
    samples = tuple(FileSample(Path("A"), f"photo {i}.png") for i in range(before + added))
    few, more = (divide({"train": Split(s, s, True)}, {"test": part})[0] for s in (samples[:before], samples))
    assert {*few["test"].a} <= {*more["test"].a}
    assert {*few["train"].a} <= {*more["train"].a}
