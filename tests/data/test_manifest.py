"""Lists of pictures: what they say, and what strangers' lists may not do."""

from pathlib import Path

import pytest
from PIL import Image

from support import save
from viceversa.config import ConfigError, DataConfig, load_config
from viceversa.data import DatasetSplits, find_splits


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for name in ("p/1.png", "p/2.png", "p/3.png", "q/1.jpg", "q/2.jpg", "q/ü, 3.jpg", "../secret.png"):
        save(root / name, Image.new("L", (4, 4)))
    return root


def write(folder: Path, text: str, name: str = "manifest.csv") -> Path:
    (folder / name).write_text(text, "utf-8")
    return folder / name


def source_of(root: Path, **data: object) -> DatasetSplits:
    return find_splits(DataConfig(root=str(root), test_fraction=0, **data))


def files(source: DatasetSplits) -> list[list[str]]:
    splits = (source.train, source.test)
    return [["/".join(Path(str(i)).parts[-2:]) for i in items] for split in splits for items in (split.a, split.b)]


PAIRS = 'a,b,split\np/1.png,q/2.jpg,train\np/2.png,q/1.jpg,\np/3.png,"q/ü, 3.jpg",test\n'


def test_pairs(folder: Path) -> None:
    write(folder, PAIRS)
    source = source_of(folder)
    assert source.layout == "manifest"
    assert files(source) == [["p/1.png", "p/2.png"], ["q/2.jpg", "q/1.jpg"], ["p/3.png"], ["q/ü, 3.jpg"]]
    assert (source.train.paired, source.test.paired, source.train.a[0].name) == (True, True, "p/1")
    assert source.note == "manifest: 2 pairs; test split: 1 pairs"


def test_rows_may_leave_a_or_b_empty(folder: Path) -> None:
    write(folder, "b,a,split\n,p/1.png,\nq/1.jpg,,train\nq/2.jpg,,train\nq/1.jpg,p/1.png,test\nq/2.jpg,p/2.png,val\n")
    source = source_of(folder, paired_test=True)
    assert files(source) == [["p/1.png"], ["q/1.jpg", "q/2.jpg"], ["p/1.png"], ["q/1.jpg"]]
    assert (source.train.paired, source.test.paired) == (False, True)
    assert source.note == "manifest: 1 A, 2 B; test split: 1 pairs"
    write(folder, PAIRS + "p/3.png,,\n")
    assert not source_of(folder).train.paired


def test_where_a_manifest_lies(folder: Path, tmp_path: Path) -> None:
    for domain in ("trainA", "trainB"):
        save(folder / domain / "x.png", Image.new("L", (4, 4)))
    assert source_of(folder).layout == "unpaired"
    (tmp_path / "lists").mkdir()
    file = write(tmp_path / "lists", PAIRS, "mine.csv")
    assert len(find_splits(load_config(None, [f"data.manifest={file}", f"data.root={folder}"]).data).train.a) == 2
    with pytest.raises(ConfigError, match=r"line 2: p/1\.png: no such file in .*lists"):
        find_splits(DataConfig(manifest=str(file)))
    write(folder, PAIRS)
    assert source_of(folder).layout == "manifest"  # before folders
    assert source_of(folder, layout="unpaired").layout == "unpaired"


@pytest.mark.parametrize("path", ["../secret.png", "p/../../secret.png", "{outside}/secret.png", "../data2/x.png"])
def test_paths_that_lead_out_are_refused(folder: Path, tmp_path: Path, path: str) -> None:
    """They would be shown in sample grids, and copied into caches."""
    write(folder, f"a,b\n{path.format(outside=tmp_path)},q/1.jpg\n")
    with pytest.raises(ConfigError, match=r"manifest\.csv, line 2: .* lies outside .*data; .* data\.root=FOLDER"):
        source_of(folder)


def test_paths_that_lead_out_are_meant_if_the_root_says_so(folder: Path, tmp_path: Path) -> None:
    file = write(folder, f"a,b\n{tmp_path}/secret.png,data/q/1.jpg\n", "x.csv")
    source = find_splits(DataConfig(manifest=str(file), root=str(tmp_path)))
    assert source.train.a[0].name == "secret"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a,b\np/9.png,q/1.jpg\n", r"x\.csv, line 2: p/9\.png: no such file"),
        ("a,b\np/1.png\0,q/1.jpg\n", "line"),
        ("a,b\nx.csv,q/1.jpg\n", "line 2: x.csv is not a picture, by its suffix"),
        ("a,b\n,\n", "line 2: names no picture"),
        ("a,b,split\np/1.png,q/1.jpg,dev\n", "split is 'dev'; use train, test or val"),
        ("a,b\np/1.png,q/1.jpg,train\n", "line 2: more fields than columns"),
        ("p/1.png,q/1.jpg\n", "first line should name the columns a,b,split"),
        ("", "first line should name the columns"),
        ("a,b\np/1.png,\n", "no training picture of domain B"),
        ('a,b\n"p/1.png,q/1.jpg', "not a text of comma-separated"),
    ],
)
def test_mistakes_are_explained_in_one_line(folder: Path, text: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match) as raised:
        source_of(write(folder, text, "x.csv"))
    assert "\n" not in str(raised.value)
