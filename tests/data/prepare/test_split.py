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
from viceversa.data.prepare.convert import splits_of
from viceversa.data.prepare.split import divide, split_data


def fill(folder: Path, numbers: Any, start: int = 0, size: tuple[int, int] = (4, 4)) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        shade = start + number
        Image.new("RGB", size, (shade % 256, shade // 256, 7)).save(folder / f"{number}.bmp")  # all of the same length


def names(root: Path, **data: Any) -> dict[str, tuple[list[str], list[str]]]:
    found = splits_of(find(DataConfig(root=str(root), **data))[1])
    return {
        name: ([os.path.basename(i.name) for i in split.a], [os.path.basename(i.name) for i in split.b])
        for name, split in found.items()
    }


def test_the_manifest_says_what_belongs_where_and_training_finds_it(tmp_path: Path) -> None:
    fill(tmp_path / "A", range(60))
    fill(tmp_path / "B", range(40), start=500)
    before = sorted(tmp_path.rglob("*.*"))
    done = split_data(DataConfig(root=str(tmp_path)), None, test=0.2, val=0.1)
    assert done.place == tmp_path / "manifest.csv"
    assert sorted({*tmp_path.rglob("*.*")} - {done.place}) == before
    lines = done.place.read_text().splitlines()
    assert lines[0] == "a,b,split"
    assert lines[1] == "A/0.bmp,,train"
    found = names(tmp_path)
    for domain, count in ((0, 60), (1, 40)):
        parts = [found[split][domain] for split in ("train", "val", "test")]
        assert sorted(map(int, itertools.chain(*parts))) == list(range(count))
        assert all(parts)
    held = find_splits(DataConfig(root=str(tmp_path), layout="unpaired", test_fraction=0.2)).test
    assert [item.name for item in held.a] == found["test"][0]  # what training would hold out by itself
    source = find_splits(DataConfig(root=str(tmp_path)))
    assert f"test split: {len(found['test'][0])} A, {len(found['test'][1])} B" in source.note
    with pytest.raises(FileExistsError, match=r"manifest\.csv: there is one already; --overwrite it"):
        split_data(DataConfig(root=str(tmp_path), layout="unpaired"), None)
    split_data(DataConfig(root=str(tmp_path), layout="unpaired"), None, overwrite=True)
    assert names(tmp_path).keys() == {"train", "test"}


@pytest.mark.parametrize("link", [False, True])
def test_a_new_folder(tmp_path: Path, link: bool) -> None:
    fill(tmp_path / "in", range(50), size=(8, 4))
    done = split_data(DataConfig(root=str(tmp_path / "in")), tmp_path / "out", link=link)
    assert sorted(os.listdir(tmp_path / "out")) == ["test", "train"]
    assert done.counts == f"train {50 - len(os.listdir(tmp_path / 'out' / 'test'))} pairs; test " + (
        f"{len(os.listdir(tmp_path / 'out' / 'test'))} pairs"
    )
    for path in (tmp_path / "out").rglob("*.bmp"):
        assert path.read_bytes() == (tmp_path / "in" / path.name).read_bytes()
        assert path.samefile(tmp_path / "in" / path.name) == link
    source = find_splits(DataConfig(root=str(tmp_path / "in"), test_fraction=0.1))
    assert [item.name for item in source.test.a] == names(tmp_path / "out")["test"][0]


def test_copies_stay_together_across_domains_and_in_pairs(tmp_path: Path) -> None:
    fill(tmp_path / "A", range(40))
    fill(tmp_path / "B", range(40), start=500)
    for copy, original in ((100, "A/0"), (101, "A/0"), (102, "A/7")):
        shutil.copy(tmp_path / f"{original}.bmp", tmp_path / "A" / f"{copy}.bmp")
    shutil.copy(tmp_path / "A" / "3.bmp", tmp_path / "B" / "200.bmp")
    for part in (0.1, 0.3, 0.5, 0.7, 0.9):
        done = split_data(DataConfig(root=str(tmp_path), layout="unpaired"), None, test=part, overwrite=True)
        assert done.duplicates == 4
        found = {(domain, n): split for split, own in names(tmp_path).items() for domain in (0, 1) for n in own[domain]}
        sides = {f"{'AB'[domain]}{n}": split for (domain, n), split in found.items()}
        assert sides["A0"] == sides["A100"] == sides["A101"]
        assert sides["A7"] == sides["A102"]
        assert sides["A3"] == sides["B200"]
        assert all(sides[f"A{n}"] == sides[f"B{n}"] for n in range(40))  # both domains of a scene
    (tmp_path / "manifest.csv").unlink()
    for number in (100, 101, 102):  # as pairs: of different answers to the same question
        shutil.copy(tmp_path / "B" / "9.bmp", tmp_path / "B" / f"{number}.bmp")
    out = split_data(
        DataConfig(root=str(tmp_path), layout="paired"), tmp_path.parent / f"{tmp_path.name}-pairs", test=0.5
    )
    by_name = {n: split for split, (own, _) in names(out.place, layout="paired").items() for n in own}
    assert len({by_name[n] for n in ("9", "100", "101", "102", "0", "7")}) == 1


def test_what_is_split_already_stays(tmp_path: Path) -> None:
    fill(tmp_path / "trainA", range(30))
    fill(tmp_path / "trainB", range(30), start=500)
    fill(tmp_path / "testA", range(100, 103))
    fill(tmp_path / "testB", range(200, 203), start=500)
    shutil.copy(tmp_path / "testA" / "100.bmp", tmp_path / "trainA" / "leak.bmp")
    data = DataConfig(root=str(tmp_path))
    with pytest.raises(ConfigError, match="split already, into train and test"):
        split_data(data, None)
    with pytest.raises(ConfigError, match="there is a test split already; it stays as it is"):
        split_data(data, None, test=0.1)
    split_data(data, None, val=0.2)
    found = names(tmp_path)
    assert sorted(found["test"][0]) == ["100", "101", "102", "leak"]
    assert found["test"][1] == ["200", "201", "202"]
    assert len(found["val"][0]) + len(found["train"][0]) == 30


@pytest.mark.parametrize("part", [0.0, 1.0, -0.1, 1.5])
def test_impossible_fractions(tmp_path: Path, part: float) -> None:
    fill(tmp_path / "A", range(3))
    fill(tmp_path / "B", range(3))
    with pytest.raises(ConfigError, match="fractions are above 0, and leave something to train on"):
        split_data(DataConfig(root=str(tmp_path)), None, test=part)


def test_side_by_side_files_cannot_be_listed(tmp_path: Path) -> None:
    fill(tmp_path, range(30), size=(8, 4))
    with pytest.raises(ConfigError, match="lists files of one image each; write a new folder: --out FOLDER"):
        split_data(DataConfig(root=str(tmp_path)), None)
    assert not (tmp_path / "manifest.csv").exists()


STEMS = st.lists(st.text("abcÄ1", min_size=1, max_size=3), unique=True, min_size=2, max_size=12)


@given(STEMS, STEMS, st.floats(0.01, 0.98), st.booleans())
def test_every_domain_has_its_part_in_every_split(a: list[str], b: list[str], part: float, paired: bool) -> None:
    def items(domain: str, stems: list[str]) -> tuple[FileSample, ...]:
        return tuple(FileSample(Path(__file__).parent / domain, f"{stem}.png") for stem in stems)

    train = Split(items("A", a), items("B", a if paired else b), paired)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("viceversa.data.prepare.split._by_content", lambda units: [])
        divided = divide({"train": train}, {"test": part})[0]
        again = divide({"train": Split(train.a[::-1], train.b[::-1], paired)}, {"test": part})[0]
    for domain in ("a", "b"):
        own = {name: {item.name for item in getattr(split, domain)} for name, split in divided.items()}
        assert own["train"] | own["test"] == {item.name for item in getattr(train, domain)}
        assert not own["train"] & own["test"]
        assert {item.name for item in getattr(again["test"], domain)} == own["test"]  # the order does not matter
    if paired:
        assert [item.name for item in divided["test"].a] == [item.name for item in divided["test"].b]


@given(st.integers(30, 60), st.integers(1, 30), st.floats(0.1, 0.5))
def test_an_image_stays_when_others_come(before: int, added: int, part: float) -> None:
    items = tuple(FileSample(Path("A"), f"photo {i}.png") for i in range(before + added))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("viceversa.data.prepare.split._by_content", lambda units: [])
        few = divide({"train": Split(items[:before], items[:before], True)}, {"test": part})[0]
        more = divide({"train": Split(items, items, True)}, {"test": part})[0]
    assert {*few["test"].a} <= {*more["test"].a}
    assert {*few["train"].a} <= {*more["train"].a}
