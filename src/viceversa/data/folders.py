"""Which layout is this? From `data.root`, or `data.a` and `data.b`, to the lists of files to train and test on."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, TypeAlias

from viceversa.config import ConfigError, DataConfig
from viceversa.data.decode import picture_size
from viceversa.data.images import list_images

Files: TypeAlias = tuple[Path, ...]
Folders: TypeAlias = tuple[Path, Path]
Layout: TypeAlias = Literal["unpaired", "aligned", "paired"]

WORLDS = (("A", "B"), ("a", "b"), ("X", "Y"), ("x", "y"))
TRAIN = ("train{}", "train_{}", "train/{}", "{}")
TEST = ("test", "val")
ACCEPTED = "trainA/ trainB/, train/A/ train/B/, A/ B/, or train/ with A|B side by side (data.layout=aligned insists)"


@dataclass(frozen=True)
class Split:
    """Files of worlds A and B; `paired`: a[i] and b[i] show the same (in aligned data they are the same file)."""

    a: Files
    b: Files
    paired: bool


@dataclass(frozen=True)
class Source:
    """A data set: what it is, its files, and a sentence that says so."""

    layout: Layout
    train: Split
    test: Split
    note: str


def find_source(data: DataConfig) -> Source:
    """Find the pictures that a configuration names, and hold out test pictures if there is no test split.

    Raises FileNotFoundError for a missing folder, ConfigError for one without pictures or of no known layout.
    """
    if data.a is not None and data.b is not None:
        if data.layout == "aligned":
            raise ConfigError("data.layout=aligned takes one folder of side-by-side files: data.root=FOLDER")
        return _two_worlds(data, (_existing(data.a), _existing(data.b)), [])
    if data.root is None:
        raise ConfigError("no pictures given: set data.root=FOLDER, or data.a=FOLDER data.b=OTHER")
    root = _existing(data.root)
    if data.layout != "aligned":
        for pattern, (a, b) in ((pattern, worlds) for pattern in TRAIN for worlds in WORLDS):
            folder_a, folder_b = root / pattern.format(a), root / pattern.format(b)
            if folder_a.is_dir() and folder_b.is_dir():
                names = [pattern.replace("train", test) for test in TEST if "train" in pattern]
                tests = [(root / name.format(a), root / name.format(b)) for name in names]
                return _two_worlds(data, (folder_a, folder_b), tests)
    if data.layout in ("auto", "aligned"):
        folder = root / "train" if (root / "train").is_dir() else root
        files = tuple(list_images(folder))
        if files and (data.layout == "aligned" or _side_by_side(files)):
            return _aligned(data, files, [root / test for test in TEST if folder != root])
    raise ConfigError(f"{root}: no layout recognised{_inside(root)}; accepted: {ACCEPTED}; or set data.a and data.b")


def _existing(name: str) -> Path:
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise ConfigError(f"{folder}: a file, where a folder of pictures is expected")
    siblings = [path.name for path in folder.parent.iterdir() if path.is_dir()] if folder.parent.is_dir() else []
    close = get_close_matches(folder.name, siblings, n=1)
    raise FileNotFoundError(
        f"{folder}: no such folder" + (f"; did you mean {folder.parent / close[0]}?" if close else "")
    )


def _pictures(folder: Path) -> Files:
    files = tuple(list_images(folder))
    if not files:
        raise ConfigError(f"{folder}: no pictures in it{_inside(folder)}")
    return files


def _inside(folder: Path) -> str:
    """Say what is in a folder in which we found nothing."""
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir() if not path.name.startswith("."))
    return f" (found {', '.join(names[:6])}{', ...' if len(names) > 6 else ''})" if names else " (it is empty)"


def _side_by_side(files: Files) -> bool:
    """Look at a few headers: are the files about twice as wide as high?"""
    sizes = [size for path in files[:: max(1, len(files) // 8)] if (size := picture_size(path))]
    return sum(1.9 <= width / height <= 2.1 for width, height in sizes) > len(sizes) / 2


def _aligned(data: DataConfig, files: Files, tests: Sequence[Path]) -> Source:
    if data.paired_test:
        raise ConfigError("data.paired_test is for unpaired data; side-by-side files are paired anyway")
    test = next((found for folder in tests if (found := tuple(list_images(folder)))), ())
    kept, held = (files, test) if test else _hold_out(files, data.test_fraction)
    splits = Split(kept, kept, True), Split(held, held, True)
    return Source("aligned", *splits, _note("aligned", data, (_count(splits[0]), _count(splits[1])), bool(test)))


def _two_worlds(data: DataConfig, folders: Folders, tests: Sequence[Folders]) -> Source:
    layout: Layout = "paired" if data.layout == "paired" else "unpaired"
    if layout == "paired" and data.paired_test:
        raise ConfigError("data.paired_test is for unpaired data; data.layout=paired pairs the test pictures anyway")
    train = Split(_pictures(folders[0]), _pictures(folders[1]), False)
    alone = 0
    if layout == "paired":
        train, alone = _matched(train, folders)
    found = ((Split(tuple(list_images(a)), tuple(list_images(b)), False), (a, b)) for a, b in tests)
    test, test_folders = next(((split, pair) for split, pair in found if split.a or split.b), (None, folders))
    given = test is not None
    if test is None:
        (kept_a, held_a), (kept_b, held_b) = (_hold_out(files, data.test_fraction) for files in (train.a, train.b))
        train, test = Split(kept_a, kept_b, train.paired), Split(held_a, held_b, train.paired)
    if data.paired_test or (layout == "paired" and given):
        test, unmatched = _matched(test, test_folders)
        alone += unmatched
    note = _note(layout, data, (_count(train), _count(test)), given)
    return Source(layout, train, test, note + (f"; {alone} files without a partner left out" if alone else ""))


def _matched(split: Split, folders: Folders) -> tuple[Split, int]:
    """Pair files by name (path within the folder, without suffix); return the pairs and how many are left over."""
    named = [
        {unicodedata.normalize("NFC", path.relative_to(folder).with_suffix("").as_posix()): path for path in files}
        for folder, files in zip(folders, (split.a, split.b), strict=True)
    ]
    both = [name for name in named[0] if name in named[1]]
    if not both:
        raise ConfigError(f"{folders[0]} and {folders[1]}: no test or training pictures of the same name to pair")
    pairs = Split(tuple(named[0][name] for name in both), tuple(named[1][name] for name in both), True)
    return pairs, len(split.a) + len(split.b) - 2 * len(both)


def _hold_out(files: Files, fraction: float) -> tuple[Files, Files]:
    """Return the files to train on and those to test on: at least one of each if there are two, and any are wanted.

    Only its own name decides where a file goes, so it stays there when others come or go, and on every machine.
    """
    if not fraction or len(files) < 2:
        return files, ()
    places = [_place(path) for path in files]
    held = [place < fraction for place in places]
    if not any(held):
        held[places.index(min(places))] = True
    if all(held):
        held[places.index(max(places))] = False
    kept = tuple(path for path, out in zip(files, held, strict=True) if not out)
    return kept, tuple(path for path, out in zip(files, held, strict=True) if out)


def _place(path: Path) -> float:
    """Return a number in [0, 1) that depends on the name without suffix alone, however the file system writes it."""
    digest = hashlib.sha256(unicodedata.normalize("NFC", path.stem).encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _count(split: Split) -> str:
    return f"{len(split.a)} pairs" if split.paired else f"{len(split.a)} A, {len(split.b)} B"


def _note(layout: Layout, data: DataConfig, counts: tuple[str, str], given: bool) -> str:
    """Say what was found: the counts of the training and of the test pictures, and where the latter come from."""
    if given:
        return f"{layout}: {counts[0]}; test split: {counts[1]}"
    if not data.test_fraction:
        return f"{layout}: {counts[0]}; no test split"
    return f"{layout}: {counts[0]}; no test split: {100 * data.test_fraction:g} % held out by name ({counts[1]})"
