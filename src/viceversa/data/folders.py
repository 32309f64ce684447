"""Layouts made of folders and files: two domains, side-by-side files, single images."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, TypeAlias

from viceversa.config import ConfigError, DataConfig
from viceversa.data.datasets import FileSample, Found, Split, matched
from viceversa.data.image_io import image_size
from viceversa.paths import EXTENSIONS, is_hidden, list_files

Files: TypeAlias = tuple[FileSample, ...]
Places: TypeAlias = tuple[Path, Path]  # of domains A and B: folders, or single images

DOMAINS = (("A", "B"), ("a", "b"), ("X", "Y"), ("x", "y"))
TRAIN = ("train{}", "train_{}", "train/{}", "{}")
REST = ("test", "val")


def inside(folder: Path) -> str:
    """Say what is in a folder in which nothing was found."""
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir() if not is_hidden(path.name))
    return f" (found {', '.join(names[:6])}{', ...' if len(names) > 6 else ''})" if names else " (it is empty)"


def holds_images(folder: Path) -> bool:
    """Whether images lie in a folder itself."""
    return any(path.suffix.lower() in EXTENSIONS for path in folder.iterdir())


def has_two_domains(data: DataConfig) -> bool:
    """Whether there are folders, or single images, of two domains."""
    return _two_domains(data) is not None


def open_unpaired(data: DataConfig) -> Found | None:
    """Find the images of two domains that have nothing to do with each other; None if there are no such folders.

    Raises ConfigError for a folder without images.
    """
    places = _two_domains(data)
    if places is None:
        return None
    (a, b), beside = places
    splits = {name: Split(_files(a), _files(b)) for name, (a, b) in beside.items()}
    rest = {name: split for name, split in splits.items() if split.a or split.b}
    train = Split(_images(a), _images(b))
    return Found(train, rest.get("test"), rest.get("val"), domains=_names(data))


def open_paired(data: DataConfig) -> Found | None:
    """Find two domains as above and pair them by name; single images are a pair whatever their names."""
    found = open_unpaired(data)
    if found is None:
        return None
    if are_single(data):
        return Found(Split(found.train.a, found.train.b, paired=True))
    pattern = data.pair_pattern
    train, alone = matched(found.train, pattern)
    test, of_test = (None, 0) if found.test is None else matched(found.test, pattern)
    val, of_val = (None, 0) if found.val is None else matched(found.val, pattern)
    return Found(train, test, val, alone=alone + of_test + of_val)


def are_single(data: DataConfig) -> bool:
    """Whether each domain is one image."""
    return bool(data.a and data.b and Path(data.a).is_file() and Path(data.b).is_file())


def open_single(data: DataConfig) -> Found | None:
    """Find the one image of each domain; None if it is more than one."""
    return open_unpaired(data) if are_single(data) else None


def are_side_by_side(data: DataConfig) -> bool:
    """Look at the headers of a few files: are most about twice as wide as high?"""
    files = _files(_side_by_side(data)[0]) if data.root else ()
    sizes = [size for sample in files[:: max(1, len(files) // 8)] if (size := image_size(sample.path))]
    return sum(1.9 <= width / height <= 2.1 for width, height in sizes) > len(sizes) / 2


def open_aligned(data: DataConfig) -> Found | None:
    """Find files that hold A at the left and B at the right; None if there are none.

    Raises ConfigError if the configuration names two folders.
    """
    if data.root is None:
        raise ConfigError("data.layout=aligned takes one folder of side-by-side files: data.root=FOLDER")
    folder, beside = _side_by_side(data)
    train = _halves(folder)
    rest = {name: split for name, place in beside.items() if (split := _halves(place)).a}
    return Found(train, rest.get("test"), rest.get("val")) if train.a else None


def _two_domains(data: DataConfig) -> tuple[Places, dict[str, Places]] | None:
    """Return where the training images are, and where those of other splits may be."""
    if data.a is not None and data.b is not None:
        return (Path(data.a), Path(data.b)), {}
    root = Path(data.root or "")
    for pattern, (a, b) in ((pattern, domains) for pattern in TRAIN for domains in DOMAINS):
        train = root / pattern.format(a), root / pattern.format(b)
        if train[0].is_dir() and train[1].is_dir():
            names = {rest: pattern.replace("train", rest) for rest in REST if "train" in pattern}
            return train, {rest: (root / name.format(a), root / name.format(b)) for rest, name in names.items()}
    return None


def _side_by_side(data: DataConfig) -> tuple[Path, dict[str, Path]]:
    """Return the folder of the training files, and folders where those of other splits may be."""
    root = Path(data.root or "")
    return (root / "train", {rest: root / rest for rest in REST}) if (root / "train").is_dir() else (root, {})


def _halves(folder: Path) -> Split:
    sides: tuple[Literal["left"], Literal["right"]] = ("left", "right")
    names = list_files(folder)
    a, b = (tuple(FileSample(folder, name, side) for name in names) for side in sides)
    return Split(a, b, paired=True)


def _files(place: Path) -> Files:
    """Return the images in a folder (none if there is no such folder), or a single image."""
    if place.is_file():
        return (FileSample(place.parent, place.name),)
    return tuple(FileSample(place, name) for name in list_files(place))


def _images(place: Path) -> Files:
    """Return at least one image, or raise ConfigError."""
    if place.is_file() and place.suffix.lower() not in EXTENSIONS:
        raise ConfigError(f"{place}: not a picture, by its suffix; give a picture or a folder of pictures")
    files = _files(place)
    if not files:
        raise ConfigError(f"{place}: no pictures in it{inside(place)}")
    return files


def _names(data: DataConfig) -> tuple[str, str]:
    """Return what to call the images of two domains: as their folders, if those are named by words."""
    names = tuple(Path(domain).name for domain in (data.a, data.b) if domain)
    words = [name for name in names if re.fullmatch(r"[^\W\d_][^\W\d]*", name)]
    return (words[0], words[1]) if len(set(words)) == 2 else ("A", "B")
