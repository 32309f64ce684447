"""The ways in which images may lie: from `data.root`, or `data.a` and `data.b`, to a data set."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from viceversa.config import ConfigError, DataConfig
from viceversa.data.datasets import DatasetSplits, FileSample, Found, Sample, Split, completed, matched
from viceversa.data.image_io import image_size
from viceversa.files import require
from viceversa.paths import EXTENSIONS, is_hidden, list_files

Places: TypeAlias = tuple[Path, Path]  # of domains A and B: folders, or single images

DOMAINS = (("A", "B"), ("a", "b"), ("X", "Y"), ("x", "y"))
TRAIN = ("train{}", "train_{}", "train/{}", "{}")
REST = ("test", "val")  # the second stands in for a missing first, and is left alone otherwise


def find_splits(data: DataConfig) -> DatasetSplits:
    """Find the images that a configuration names, and hold out test images if there is no test split.

    Raises FileNotFoundError for a missing folder, ConfigError for one without images or of no known layout.
    """
    if data.root is None and data.manifest is None and (data.a is None or data.b is None):
        raise ConfigError("no pictures given: set data.root=FOLDER, or data.a=FOLDER data.b=OTHER")
    root, manifest, a, b = map(_here, (data.root, data.manifest, data.a, data.b))
    data = dataclasses.replace(data, root=root, manifest=manifest, a=a, b=b)
    for name, (_, opened) in LAYOUTS.items():
        if data.layout in ("auto", name) and (found := opened(data)):
            return completed(name, found, data)
    raise ConfigError(_unknown(data))


def _here(name: str | None) -> str | None:
    """Return a place on this machine: with its ~ spelled out, or the copy of what lies at an address."""
    if name is not None and re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", name):
        from viceversa.data.download import local_folder

        return str(local_folder(name))
    return name and str(require(Path(name).expanduser()))


def _unknown(data: DataConfig) -> str:
    if data.root is None:
        return f"data.layout={data.layout} is not what data.a and data.b are; leave it to data.layout=auto"
    root = Path(data.root)
    if root.is_file():
        return f"{root}: a file, where a folder of pictures or a manifest is expected"
    if any(path.suffix.lower() in EXTENSIONS for path in root.iterdir()):
        return (
            f"{root}: no layout recognised: one folder of pictures, not pairs side by side; name two folders, "
            "data.a=FOLDER data.b=OTHER, or insist: data.layout=aligned"
        )
    forms = "; ".join(f"{name}: {form}" for name, (form, _) in LAYOUTS.items())
    return f"{root}: no layout recognised{_inside(root)}; accepted are {forms} (data.layout=NAME insists)"


def _inside(folder: Path) -> str:
    """Say what is in a folder in which nothing was found."""
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir() if not is_hidden(path.name))
    return f" (found {', '.join(names[:6])}{', ...' if len(names) > 6 else ''})" if names else " (it is empty)"


def _open_manifest(data: DataConfig) -> Found | None:
    root = Path(data.root) if data.root else None
    listed = Path(data.manifest) if data.manifest else root and root / "manifest.csv"
    if root and root.suffix.lower() == ".csv" and root.is_file() and not data.manifest:
        root, listed = root.parent, root
    if not listed or not (data.manifest or listed.is_file()):
        return None
    from viceversa.data.tables import read_manifest

    return read_manifest(listed, root or listed.parent)


def _open_shards(data: DataConfig) -> Found | None:
    for folder in (Path(data.root), Path(data.root, "data")) if data.root else ():
        files = sorted(path for path in folder.iterdir() if path.suffix == ".parquet") if folder.is_dir() else []
        if files:
            from viceversa.data.tables import read_shards

            return read_shards(files)
    return None


def _open_unpaired(data: DataConfig) -> Found | None:
    """Find two domains and what is held back of each; raise ConfigError for a folder without images."""
    places = _two_domains(data)
    if places is None:
        return None
    (a, b), *rest = places
    return Found(Split(_images(a), _images(b)), _first(Split(_files(a), _files(b)) for a, b in rest))


def _open_paired(data: DataConfig) -> Found | None:
    """Find two domains as above and pair them by name; single images are a pair whatever their names."""
    found = _open_unpaired(data) if data.layout == "paired" else None
    if found is None or (data.a and data.b and Path(data.a).is_file() and Path(data.b).is_file()):
        return found and Found(dataclasses.replace(found.train, paired=True))
    train, alone = matched(found.train, data.pair_pattern)
    test, of_test = (None, 0) if found.test is None else matched(found.test, data.pair_pattern)
    return Found(train, test, alone + of_test)


def _open_aligned(data: DataConfig) -> Found | None:
    """Find files that hold A at the left and B at the right."""
    if data.root is None:
        if data.layout == "auto":
            return None
        raise ConfigError("data.layout=aligned takes one folder of side-by-side files: data.root=FOLDER")
    root = Path(data.root)
    divided = (root / "train").is_dir()
    train = _halves(root / "train" if divided else root)
    if not train.a or (data.layout == "auto" and not _are_wide(train.a)):
        return None
    return Found(train, _first(_halves(root / name) for name in REST) if divided else None)


def _are_wide(samples: Sequence[Sample]) -> bool:
    """Look at the headers of a few files: are most about twice as wide as high?"""
    few = samples[:: max(1, len(samples) // 8)]
    sizes = [size for sample in few if (size := image_size(Path(str(sample))))]
    return sum(1.9 <= width / height <= 2.1 for width, height in sizes) > len(sizes) / 2


def _two_domains(data: DataConfig) -> list[Places] | None:
    """Return where the training images are, and where those of the test and the validation split may be."""
    if data.a is not None and data.b is not None:
        return [(Path(data.a), Path(data.b))]
    root = Path(data.root or "")
    for pattern, (a, b) in itertools.product(TRAIN, DOMAINS):
        patterns = [pattern.replace("train", split) for split in ("train", *REST)] if "train" in pattern else [pattern]
        places = [(root / each.format(a), root / each.format(b)) for each in patterns]
        if all(folder.is_dir() for folder in places[0]):
            return places
    return None


def _first(splits: Iterable[Split]) -> Split | None:
    """Return the first split with images."""
    return next((split for split in splits if split.a or split.b), None)


def _halves(folder: Path) -> Split:
    sides: tuple[Literal["left"], Literal["right"]] = ("left", "right")
    names = list_files(folder)
    a, b = (tuple(FileSample(folder, name, side) for name in names) for side in sides)
    return Split(a, b, paired=True)


def _files(place: Path) -> tuple[FileSample, ...]:
    """Return the images in a folder (none if there is no such folder), or a single image."""
    if place.is_file():
        return (FileSample(place.parent, place.name),)
    return tuple(FileSample(place, name) for name in list_files(place))


def _images(place: Path) -> tuple[FileSample, ...]:
    """Return at least one image, or raise ConfigError."""
    if place.is_file() and place.suffix.lower() not in EXTENSIONS:
        raise ConfigError(f"{place}: not a picture, by its suffix; give a picture or a folder of pictures")
    files = _files(place)
    if not files:
        raise ConfigError(f"{place}: no pictures in it{_inside(place)}")
    return files


LAYOUTS: dict[str, tuple[str, Callable[[DataConfig], Found | None]]] = {
    "manifest": ("manifest.csv in the folder; or data.root=FILE.csv, or data.manifest=FILE.csv", _open_manifest),
    "shards": ("*.parquet files in the folder, or in data/ below it", _open_shards),
    "unpaired": ("trainA/ trainB/, train/A/ train/B/, A/ B/, or any data.a and data.b", _open_unpaired),
    "paired": ("the same, with files of the same names on both sides", _open_paired),
    "aligned": ("train/, or the folder itself, with A at the left and B at the right of each file", _open_aligned),
}
"""By the value of `data.layout`: what lies there, for messages and documentation, and what opens it.

That finds the images, or returns None if they do not lie so.
"""
