"""Recognising layouts, pairing by name, and holding out test pictures."""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from viceversa.config import ConfigError, DataConfig
from viceversa.data import FileSample, Sample, Split, find_splits
from viceversa.data.datasets import hold_out
from viceversa.data.layouts import LAYOUTS, find


def fill(folder: Path, names: Iterable[object], size: tuple[int, int] = (4, 4)) -> None:
    for name in names:
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size).save(path)


def files(items: Iterable[Sample], root: Path) -> list[str]:
    return [Path(str(item)).relative_to(root).as_posix() for item in items]


def names(*worlds: Iterable[Sample]) -> list[str]:
    return [item.name for items in worlds for item in items]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("trainA", "trainB"),
        ("train/A", "train/B"),
        ("train/a", "train/b"),
        ("train/x", "train/y"),
        ("train_A", "train_B"),
    ],
)
def test_unpaired_with_test_split(tmp_path: Path, a: str, b: str) -> None:
    fill(tmp_path / a, ["1/2", "1/10", "2/1"])
    fill(tmp_path / b, range(4))
    fill(tmp_path / a.replace("train", "test"), [7])
    fill(tmp_path / b.replace("train", "test"), [8, 9])
    fill(tmp_path / a.replace("train", "val"), [5])
    fill(tmp_path / b.replace("train", "val"), [5])
    source = find_splits(DataConfig(root=str(tmp_path)))
    assert source.layout == "unpaired"
    assert not source.train.paired
    assert files(source.train.a, tmp_path / a) == ["1/2.png", "1/10.png", "2/1.png"]
    assert files(source.train.b, tmp_path / b) == ["0.png", "1.png", "2.png", "3.png"]
    assert names(source.test.a, source.test.b) == ["7", "8", "9"]
    assert source.note == "unpaired: 3 A, 4 B; test split: 1 A, 2 B"


def test_val_stands_in_for_test(tmp_path: Path) -> None:
    for folder in ("trainA", "trainB", "valA", "valB"):
        fill(tmp_path / folder, [folder])
    (tmp_path / "testA").mkdir()  # empty
    source = find_splits(DataConfig(root=str(tmp_path)))
    assert names(source.test.a, source.test.b) == ["valA", "valB"]


@pytest.mark.parametrize(
    ("sub", "size", "layout"), [("{}/A", 4, "unpaired"), ("{}/A", 4, "paired"), ("{}", 8, "aligned")]
)
def test_validation_pictures_are_found_and_left_alone(tmp_path: Path, sub: str, size: int, layout: Any) -> None:
    for split in ("train", "val", "test"):
        for world in "AB":
            fill(tmp_path / sub.replace("A", world).format(split), [split], size=(size, 4))
    data = DataConfig(root=str(tmp_path), layout=layout)
    name, found = find(data)
    assert name == layout
    assert found.val
    assert [item.name for item in (*found.val.a, *found.val.b)] == ["val", "val"]
    source = find_splits(data)
    assert {item.name for split in (source.train, source.test) for item in (*split.a, *split.b)} == {"train", "test"}


def test_two_folders_anywhere(tmp_path: Path) -> None:
    fill(tmp_path / "photos", range(60))
    fill(tmp_path / "drawings", range(40))
    source = find_splits(DataConfig(a=str(tmp_path / "photos"), b=str(tmp_path / "drawings"), test_fraction=0.1))
    assert source.layout == "unpaired"  # although the names match
    for train, test, count in [(source.train.a, source.test.a, 60), (source.train.b, source.test.b, 40)]:
        assert len({*train, *test}) == len(train) + len(test) == count
        assert 1 <= len(test) < 15
    counts = [len(files) for files in (source.train.a, source.train.b, source.test.a, source.test.b)]
    assert (
        source.note
        == "unpaired: {} photos, {} drawings; no test split: 10 % held out by name ({} photos, {} drawings)".format(
            *counts
        )
    )


@pytest.mark.parametrize("sub", ["", "train/"])
def test_paired_by_stem(tmp_path: Path, sub: str) -> None:
    fill(tmp_path / f"{sub}A", ["1/x", "2/x", "only", *range(20)])
    fill(tmp_path / f"{sub}B", ["1/x", "2/x", *range(20)])
    (tmp_path / f"{sub}B/0.png").rename(tmp_path / f"{sub}B/0.jpg")
    source = find_splits(DataConfig(root=str(tmp_path), layout="paired", test_fraction=0.2))
    assert source.layout == "paired"
    assert source.train.paired
    assert source.test.paired
    assert len(source.train.a) + len(source.test.a) == 22
    for split in (source.train, source.test):
        assert names(split.a) == names(split.b)
    assert "1 files without a partner left out" in source.note


def test_paired_without_any_common_name(tmp_path: Path) -> None:
    fill(tmp_path / "A", ["one"])
    fill(tmp_path / "B", ["two"])
    with pytest.raises(ConfigError, match="no test or training pictures of the same name"):
        find_splits(DataConfig(root=str(tmp_path), layout="paired"))


def test_paired_test_split_is_matched_too(tmp_path: Path) -> None:
    for side, extra in [("A", ["p", "q"]), ("B", ["q", "r"])]:
        fill(tmp_path / f"train{side}", range(3))
        fill(tmp_path / f"test{side}", extra)
    source = find_splits(DataConfig(root=str(tmp_path), layout="paired"))
    assert names(source.test.a, source.test.b) == ["q", "q"]
    assert source.note == "paired: 3 pairs; test split: 1 pairs; 2 files without a partner left out"


def test_unpaired_training_with_paired_test(tmp_path: Path) -> None:
    fill(tmp_path / "trainA", range(3))
    fill(tmp_path / "trainB", range(3, 7))
    fill(tmp_path / "testA", ["p", "q"])
    fill(tmp_path / "testB", ["q"])
    data = DataConfig(root=str(tmp_path), paired_test=True)
    source = find_splits(data)
    assert (source.layout, source.train.paired, source.test.paired) == ("unpaired", False, True)
    assert names(source.test.a, source.test.b) == ["q", "q"]
    (tmp_path / "testB/q.png").rename(tmp_path / "testB/z.png")
    with pytest.raises(ConfigError, match=r"testA.* and .*testB.*: no .* of the same name"):
        find_splits(data)


@pytest.mark.parametrize("held", ["test", "val"])
def test_aligned(tmp_path: Path, held: str) -> None:
    fill(tmp_path / "train", range(5), size=(8, 4))
    fill(tmp_path / "val", ["val"], size=(8, 4))
    if held == "test":
        fill(tmp_path / "test", ["test"], size=(8, 4))
    source = find_splits(DataConfig(root=str(tmp_path)))
    assert source.layout == "aligned"
    assert files(source.train.a, tmp_path) == files(source.train.b, tmp_path)
    assert len(source.train.a) == 5
    assert source.train.paired
    assert source.test.paired
    assert names(source.test.a) == [held]
    assert source.note == "aligned: 5 pairs; test split: 1 pairs"


def test_aligned_flat_root_and_odd_shapes(tmp_path: Path) -> None:
    fill(tmp_path, range(30), size=(8, 4))
    (tmp_path / "30.png").write_text("<html>")
    source = find_splits(DataConfig(root=str(tmp_path)))
    assert source.layout == "aligned"
    assert files(source.train.a, tmp_path) == files(source.train.b, tmp_path)
    assert files(source.test.a, tmp_path) == files(source.test.b, tmp_path)
    assert len(source.test.a) >= 1
    fill(tmp_path, range(30), size=(9, 9))
    with pytest.raises(
        ConfigError, match=r"one folder of pictures, .*data\.a=FOLDER data\.b=OTHER, or insist: data\.layout=aligned"
    ):
        find_splits(DataConfig(root=str(tmp_path)))
    assert len(find_splits(DataConfig(root=str(tmp_path), layout="aligned", test_fraction=0)).train.a) == 31


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (DataConfig(), ConfigError, "data.root=FOLDER, or data.a=FOLDER data.b=OTHER"),
        (DataConfig(root="horse2zebr"), FileNotFoundError, "no such folder; did you mean .*horse2zebra"),
        (DataConfig(root="qqq"), FileNotFoundError, "qqq: no such folder$"),
        (DataConfig(root="nowhere/at/all"), FileNotFoundError, "no such folder$"),
        (DataConfig(root="file"), ConfigError, "a file, where a folder"),
        (
            DataConfig(root="horse2zebra"),
            ConfigError,
            r"no layout recognised \(found test/, trainA/\); accepted are .*trainA",
        ),
        (DataConfig(root="empty"), ConfigError, r"no layout recognised \(it is empty\)"),
        (DataConfig(root="hollow"), ConfigError, r"trainA: no pictures in it \(found readme.txt\)"),
        (DataConfig(a="horse2zebra", b="empty"), ConfigError, r"empty: no pictures in it \(it is empty\)"),
        (DataConfig(a="horse2zebra", b="empty", layout="aligned"), ConfigError, "data.root=FOLDER"),
        (
            DataConfig(a="horse2zebra", b="horse2zebra", layout="paired", paired_test=True),
            ConfigError,
            "data.paired_test",
        ),
        (DataConfig(root="horse2zebra", layout="aligned", paired_test=True), ConfigError, "data.paired_test"),
    ],
)
def test_mistakes_are_explained_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: DataConfig, error: type[Exception], match: str
) -> None:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "horse2zebra/trainA", range(3))
    for folder in ("horse2zebra/test", "empty", "hollow/trainA", "hollow/trainB"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "hollow/trainA/readme.txt").touch()
    (tmp_path / "file").touch()
    with pytest.raises(error, match=match) as raised:
        find_splits(data)
    assert "\n" not in str(raised.value)


NAMES = st.lists(st.text("abcäß0123456789_ -", min_size=1, max_size=6), unique=True, max_size=60)


def unpaired(stems: Iterable[object], folder: str = "", suffix: str = ".png") -> Split:
    return Split(tuple(FileSample(Path(folder), f"{stem}{suffix}") for stem in stems), ())


@given(NAMES, st.floats(0.001, 0.999))
def test_hold_out_is_a_partition_with_something_on_each_side(stems: list[str], fraction: float) -> None:
    split = unpaired(stems)
    kept, held = hold_out(split, fraction)
    assert sorted(names(kept.a, held.a)) == sorted(stems)
    assert not held.a if len(stems) < 2 else (kept.a and held.a)
    assert hold_out(split, 0) == (split, Split((), ()))


@given(st.integers(30, 200), st.integers(1, 100))
def test_hold_out_stays_when_files_are_added(before: int, added: int) -> None:
    kept, held = hold_out(unpaired(f"photo {i}" for i in range(before)), 0.2)
    more_kept, more_held = hold_out(unpaired(f"photo {i}" for i in range(before + added)), 0.2)
    assert set(kept.a) <= set(more_kept.a)
    assert set(held.a) <= set(more_held.a)


def test_hold_out_is_the_same_on_every_machine() -> None:
    expected = names(hold_out(unpaired(range(40)), 0.1)[1].a)
    assert expected == ["9", "39"]
    moved = unpaired((f"class/{i}" for i in range(40)), folder="elsewhere", suffix=".jpg")
    assert names(hold_out(moved, 0.1)[1].a) == [f"class/{name}" for name in expected]
    accents = [unicodedata.normalize(form, f"Müller {i}") for i in range(40) for form in ("NFC", "NFD")]
    held = names(hold_out(unpaired(accents), 0.3)[1].a)
    assert held[::2] == [unicodedata.normalize("NFC", name) for name in held[1::2]]  # Linux and macOS spell differently


def test_hold_out_keeps_pairs_together_whatever_their_names() -> None:
    a, b = unpaired(range(40)).a, unpaired(f"other {i}" for i in range(40)).a
    for split in hold_out(Split(a, b, paired=True), 0.2):
        assert split.paired
        assert split.a
        assert [f"other {name}" for name in names(split.a)] == names(split.b)


def test_no_hold_out_on_request(tmp_path: Path) -> None:
    fill(tmp_path / "A", range(30))
    fill(tmp_path / "B", range(30))
    data = DataConfig(root=str(tmp_path), test_fraction=0)
    assert len(find_splits(data).train.a) == 30
    assert find_splits(data).note == "unpaired: 30 A, 30 B; no test split"
    assert find_splits(dataclasses.replace(data, test_fraction=0.5)).test.a


def test_single_pictures(tmp_path: Path) -> None:
    fill(tmp_path, ["one", "other"])
    one, other = str(tmp_path / "one.png"), str(tmp_path / "other.png")
    source = find_splits(DataConfig(a=one, b=other))
    assert source.layout == "single"
    assert not source.train.paired
    assert [str(source.train.a[0]), str(source.train.b[0])] == [one, other]
    assert names(source.train.a, source.train.b) == ["one", "other"]
    assert source.note == "single: 1 A, 1 B; no test split"
    pair = find_splits(DataConfig(a=one, b=other, layout="paired"))
    assert pair.train.paired
    assert pair.note == "paired: 1 pairs; no test split"
    fill(tmp_path / "folder", range(3))
    mixed = find_splits(DataConfig(a=one, b=str(tmp_path / "folder"), test_fraction=0))
    assert mixed.note == "unpaired: 1 A, 3 B; no test split"
    with pytest.raises(ConfigError, match=r"data\.layout=single is not what data.a and data.b are"):
        find_splits(DataConfig(a=one, b=str(tmp_path / "folder"), layout="single"))
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ConfigError, match=r"notes\.txt: not a picture, by its suffix"):
        find_splits(DataConfig(a=one, b=str(tmp_path / "notes.txt")))


def test_every_layout_can_be_insisted_on() -> None:
    known = get_args(get_type_hints(DataConfig)["layout"])
    assert sorted(known) == sorted(["auto", *(layout.name for layout in LAYOUTS)])


def test_the_table_of_layouts_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text("utf-8")
    for layout in LAYOUTS:
        assert f"| `{layout.name}` | {layout.form} | {layout.meaning} |\n" in page
