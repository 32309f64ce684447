"""Recognising layouts, pairing by name, halving files, and holding out test images."""

import pickle
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from support import noise, save
from viceversa.config import ConfigError, DataConfig
from viceversa.data import FileSample, ImageError, Sample, Split, find_splits
from viceversa.data.datasets import hold_out, open_each
from viceversa.data.image_data import ImageData
from viceversa.data.layouts import LAYOUTS


def fill(folder: Path, names: Iterable[object], size: tuple[int, int] = (4, 4)) -> None:
    for name in names:
        save(folder / f"{name}.png", Image.new("L", size))


def names(*sides: Iterable[Sample]) -> list[str]:
    return [sample.name for samples in sides for sample in samples]


def found_in(root: Path, **data: Any) -> Any:
    return find_splits(DataConfig(root=str(root), **data))


@pytest.mark.parametrize("a", ["trainA", "train/A", "train/a", "train/x", "train_A"])
def test_unpaired_with_test_split(tmp_path: Path, a: str) -> None:
    b = a[:-1] + {"A": "B", "a": "b", "x": "y"}[a[-1]]
    fill(tmp_path / a, ["1/2", "1/10", "2/1"])
    fill(tmp_path / b, range(4))
    for split, own in (("test", [7]), ("val", [5])):
        fill(tmp_path / a.replace("train", split), own)
        fill(tmp_path / b.replace("train", split), [*own, 9])
    splits = found_in(tmp_path)
    assert (splits.layout, splits.train.paired) == ("unpaired", False)
    assert names(splits.train.a, splits.train.b) == ["1/2", "1/10", "2/1", "0", "1", "2", "3"]
    assert names(splits.test.a, splits.test.b) == ["7", "7", "9"]
    assert splits.note == "unpaired: 3 A, 4 B; test split: 1 A, 2 B"


@pytest.mark.parametrize(
    ("sub", "size", "layout"), [("{}/A", 4, "unpaired"), ("{}/A", 4, "paired"), ("{}", 8, "aligned")]
)
def test_validation_images_stand_in_for_test_images(tmp_path: Path, sub: str, size: int, layout: Any) -> None:
    for split in ("train", "val", "test"):
        for domain in "AB":
            fill(tmp_path / sub.replace("A", domain).format(split), [split], size=(size, 4))
    assert set(names(found_in(tmp_path, layout=layout).test.a)) == {"test"}
    for path in tmp_path.glob("test/**/*.png"):
        path.unlink()
    assert set(names(found_in(tmp_path, layout=layout).test.a)) == {"val"}


def test_pairs_by_name(tmp_path: Path) -> None:
    fill(tmp_path / "trainA", ["1/x", "2/x", "only", *range(20)])
    fill(tmp_path / "trainB", ["1/x", "2/x", *range(20)])
    (tmp_path / "trainB/0.png").rename(tmp_path / "trainB/0.jpg")
    splits = found_in(tmp_path, layout="paired", test_fraction=0.2)
    assert len(splits.train.a) + len(splits.test.a) == 22
    for split in (splits.train, splits.test):
        assert split.paired
        assert names(split.a) == names(split.b)
    fill(tmp_path / "testA", ["p", "q"])
    fill(tmp_path / "testB", ["q", "r"])
    splits = found_in(tmp_path, layout="paired")
    assert names(splits.test.a, splits.test.b) == ["q", "q"]
    assert splits.note == "paired: 22 pairs; test split: 1 pairs; 3 files without a partner left out"


def test_unpaired_training_with_paired_test(tmp_path: Path) -> None:
    for folder, own in (("trainA", range(3)), ("trainB", range(3, 7)), ("testA", ["p", "q"]), ("testB", ["q"])):
        fill(tmp_path / folder, own)
    splits = found_in(tmp_path, paired_test=True)
    assert (splits.layout, splits.train.paired, splits.test.paired) == ("unpaired", False, True)
    assert names(splits.test.a, splits.test.b) == ["q", "q"]
    (tmp_path / "testB/q.png").rename(tmp_path / "testB/z.png")
    with pytest.raises(ConfigError, match=r"testA.* and .*testB.*: no .* of the same name"):
        found_in(tmp_path, paired_test=True)


def test_names_that_differ_are_paired_by_what_they_share(tmp_path: Path) -> None:
    fill(tmp_path / "A", [f"Img {i}" for i in range(12)])
    fill(tmp_path / "B", [f"img {i}_mask" for i in range(12)])
    with pytest.raises(ConfigError, match=r"data\.pair_pattern=.*manifest\.csv"):
        found_in(tmp_path, layout="paired")
    splits = found_in(tmp_path, layout="paired", pair_pattern="(.+?)(?:_mask)?")
    for split in (splits.train, splits.test):
        assert [f"{name.lower()}_mask" for name in names(split.a)] == names(split.b)


def test_aligned(tmp_path: Path) -> None:
    fill(tmp_path / "flat", range(30), size=(8, 4))
    (tmp_path / "flat/30.png").write_text("<html>")
    splits = found_in(tmp_path / "flat")
    assert (splits.layout, splits.train.paired, splits.test.paired) == ("aligned", True, True)
    assert [str(a) for a in splits.train.a] == [str(b) for b in splits.train.b]
    assert len(splits.test.a) >= 1
    fill(tmp_path / "flat", range(30), size=(9, 9))
    with pytest.raises(ConfigError, match=r"one folder of pictures, .*data\.a=FOLDER .*insist: data\.layout=aligned"):
        found_in(tmp_path / "flat")
    assert len(found_in(tmp_path / "flat", layout="aligned", test_fraction=0).train.a) == 31


def test_a_file_and_its_halves(tmp_path: Path) -> None:
    pixels = noise(4, 9, 4)
    fill(tmp_path, ["class/y", "thin"], (1, 5))
    Image.fromarray(pixels).save(tmp_path / "class/x.old.png")
    whole = FileSample(tmp_path, "class/x.old.png")
    assert (whole.name, str(whole)) == ("class/x.old", str(tmp_path / "class/x.old.png"))
    assert pickle.loads(pickle.dumps(whole)) == whole
    halves = [FileSample(tmp_path, "class/x.old.png", side) for side in ("left", "right")]
    for image, columns in zip(open_each(halves), (slice(0, 4), slice(5, 9)), strict=True):
        assert np.array_equal(np.dstack([image.pixels, image.alpha]), pixels[:, columns])
    found = open_each([whole, FileSample(tmp_path, "thin.png", "left")])
    assert [type(one) for one in found] == [ImageData, ImageError]


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (DataConfig(), ConfigError, "data.root=FOLDER, or data.a=FOLDER data.b=OTHER"),
        (DataConfig(root="horse2zebr"), FileNotFoundError, "did you mean .*horse2zebra"),
        *((DataConfig(root=path), FileNotFoundError, "no such") for path in ("a", "/no/a", "C:\\a", "./s3:a", "c://a")),
        (DataConfig(root="file"), ConfigError, "a file, where a folder"),
        (DataConfig(root="horse2zebra"), ConfigError, r"no layout .*\(found test/, trainA/\); accepted are .*trainA"),
        (DataConfig(root="empty"), ConfigError, r"no layout recognised \(it is empty\)"),
        (DataConfig(root="hollow"), ConfigError, r"trainA: no pictures in it \(found readme.txt\)"),
        (DataConfig(a="horse2zebra", b="empty"), ConfigError, r"empty: no pictures in it \(it is empty\)"),
        (DataConfig(a="horse2zebra", b="empty", layout="aligned"), ConfigError, "data.root=FOLDER"),
        (DataConfig(a="horse2zebra", b="horse2zebra", layout="shards"), ConfigError, "is not what data.a and data.b"),
        (DataConfig(root="horse2zebra", layout="aligned", paired_test=True), ConfigError, "data.paired_test"),
        (DataConfig(a="notes.txt", b="horse2zebra"), ConfigError, "not a picture, by its suffix"),
        (DataConfig(root="pairs", layout="paired", pair_pattern="("), ConfigError, "not a regular expression"),
        (DataConfig(root="pairs", layout="paired", pair_pattern="x.*"), ConfigError, "has no group"),
        (DataConfig(root="pairs", layout="paired", pair_pattern="(x).*"), ConfigError, "for the same picture"),
    ],
)
def test_mistakes_are_explained_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: DataConfig, error: type[Exception], match: str
) -> None:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "horse2zebra/trainA", range(3))
    fill(tmp_path / "pairs/A", ["x1", "x2"])
    fill(tmp_path / "pairs/B", ["x1", "x2"])
    for folder in ("horse2zebra/test", "empty", "hollow/trainA", "hollow/trainB"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("hollow/trainA/readme.txt", "file", "notes.txt"):
        (tmp_path / name).touch()
    with pytest.raises(error, match=match) as raised:
        find_splits(data)
    assert "\n" not in str(raised.value)


NAMES = st.lists(st.text("abcäß0123456789_ -", min_size=1, max_size=6), unique=True, max_size=60)


def unpaired(stems: Iterable[object], folder: str = "", suffix: str = ".png") -> Split:
    return Split(tuple(FileSample(Path(folder), f"{stem}{suffix}") for stem in stems), ())


@given(NAMES, st.floats(0.001, 0.999), st.integers(1, 100))
def test_hold_out_is_a_partition_that_stays(stems: list[str], fraction: float, added: int) -> None:
    split = unpaired(stems)
    kept, held = hold_out(split, fraction)
    assert sorted(names(kept.a, held.a)) == sorted(stems)
    assert not held.a if len(stems) < 2 else (kept.a and held.a)
    assert hold_out(split, 0) == (split, Split((), ()))
    kept, held = hold_out(unpaired(f"photo {i}" for i in range(30)), 0.2)
    more_kept, more_held = hold_out(unpaired(f"photo {i}" for i in range(30 + added)), 0.2)
    assert set(kept.a) <= set(more_kept.a)
    assert set(held.a) <= set(more_held.a)


def test_hold_out_is_the_same_on_every_machine_and_keeps_pairs_together() -> None:
    expected = names(hold_out(unpaired(range(40)), 0.1)[1].a)
    assert expected == ["9", "39"]
    moved = unpaired((f"class/{i}" for i in range(40)), folder="elsewhere", suffix=".jpg")
    assert names(hold_out(moved, 0.1)[1].a) == [f"class/{name}" for name in expected]
    accents = [unicodedata.normalize(form, f"Müller {i}") for i in range(40) for form in ("NFC", "NFD")]
    held = names(hold_out(unpaired(accents), 0.3)[1].a)
    assert held[::2] == [unicodedata.normalize("NFC", name) for name in held[1::2]]  # Linux and macOS spell differently
    a, b = unpaired(range(40)).a, unpaired(f"other {i}" for i in range(40)).a
    for split in hold_out(Split(a, b, paired=True), 0.2):
        assert split.paired
        assert [f"other {name}" for name in names(split.a)] == names(split.b)


def test_single_images(tmp_path: Path) -> None:
    fill(tmp_path, ["one", "other"])
    one, other = str(tmp_path / "one.png"), str(tmp_path / "other.png")
    splits = find_splits(DataConfig(a=one, b=other))
    assert splits.note == "unpaired: 1 A, 1 B; no test split"
    assert [str(splits.train.a[0]), str(splits.train.b[0])] == [one, other]
    assert find_splits(DataConfig(a=one, b=other, layout="paired")).train.paired
    fill(tmp_path / "folder", range(3))
    mixed = find_splits(DataConfig(a=one, b=str(tmp_path / "folder"), test_fraction=0))
    assert mixed.note == "unpaired: 1 A, 3 B; no test split"


def test_every_layout_can_be_insisted_on_and_is_documented() -> None:
    known = get_args(get_type_hints(DataConfig)["layout"])
    assert sorted(known) == sorted(["auto", *LAYOUTS])
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text("utf-8")
    for name, (form, _) in LAYOUTS.items():
        assert f"| `{name}` | {form} |" in page
