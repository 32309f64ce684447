"""Which layout is this? The table of all layouts, from `data.root`, or `data.a` and `data.b`, to a data set."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from viceversa.config import ConfigError, DataConfig
from viceversa.data import folders
from viceversa.data.datasets import DatasetSplits, Found, completed
from viceversa.files import require

ADDRESS = r"[A-Za-z][A-Za-z0-9+.-]+://"
LISTS = (".csv", ".tsv", ".jsonl")
TABLES = (".parquet", ".arrow")


@dataclass(frozen=True)
class Layout:
    """A way in which pictures may lie. Message, documentation and detection all come from here."""

    name: str
    """The value of `data.layout` that insists on it."""
    form: str
    """What lies there."""
    meaning: str
    """What is made of it, and when it is recognised without being named: one line for the documentation."""
    recognises: Callable[[DataConfig], bool]
    """Whether `data.layout=auto` takes it; asked in the order of the table, so it should be quick."""
    open: Callable[[DataConfig], Found | None]
    """Find the pictures; None if they do not lie so. What is named in the configuration exists."""


def _is_cache(data: DataConfig) -> bool:
    return data.root is not None and Path(data.root, "cache.json").is_file()


def _open_cache(data: DataConfig) -> Found | None:
    from viceversa.data.cache import open_cache

    return open_cache(data) if _is_cache(data) else None


def _is_manifest(data: DataConfig) -> bool:
    root = Path(data.root or "")
    named = data.manifest is not None or (data.root is not None and root.is_file() and root.suffix.lower() in LISTS)
    return named or (data.root is not None and any((root / f"manifest{suffix}").is_file() for suffix in LISTS))


def _open_manifest(data: DataConfig) -> Found | None:
    from viceversa.data.manifest import open_manifest

    return open_manifest(data) if _is_manifest(data) else None


def _is_sharded(data: DataConfig) -> bool:
    return data.root is not None and any(
        path.suffix in TABLES
        for folder in (Path(data.root), Path(data.root, "data"))
        if folder.is_dir()
        for path in folder.iterdir()
    )


def _open_shards(data: DataConfig) -> Found | None:
    from viceversa.data.shards import open_shards

    return open_shards(data) if _is_sharded(data) else None


LAYOUTS = (
    Layout(
        "cache",
        "cache.json and pixels.npy, as `viceversa data cache` writes them",
        "what the cache was made of, decoded and resized already",
        _is_cache,
        _open_cache,
    ),
    Layout(
        "manifest",
        "manifest.csv, .tsv or .jsonl in the folder; or data.root=FILE.csv, or data.manifest=FILE.csv",
        "as it says: columns a, b and split; pairs where every row has both",
        _is_manifest,
        _open_manifest,
    ),
    Layout(
        "shards",
        "*.parquet or *.arrow files in the folder, or in data/ below it",
        "as their columns say: a and b are pairs; or image, and domain A or B",
        _is_sharded,
        _open_shards,
    ),
    Layout(
        "single",
        "data.a=one.jpg data.b=other.png",
        "a single picture for each domain",
        folders.are_single,
        folders.open_single,
    ),
    Layout(
        "unpaired",
        "trainA/ trainB/ (or train_A/ train_B/), train/A/ train/B/, A/ B/, or any data.a and data.b",
        "two domains; `testA/ testB/` or `valA/ valB/` beside them are the test pictures",
        folders.has_two_domains,
        folders.open_unpaired,
    ),
    Layout(
        "paired",
        "the same, with files of the same names on both sides",
        "pairs by name, if you say so: never guessed",
        lambda data: False,
        folders.open_paired,
    ),
    Layout(
        "aligned",
        "train/, or the folder itself, with A at the left and B at the right of each file",
        "pairs; recognised if most files are about twice as wide as high",
        folders.are_side_by_side,
        folders.open_aligned,
    ),
)


def find_splits(data: DataConfig) -> DatasetSplits:
    """Find the pictures that a configuration names, and hold out test pictures if there is no test split.

    Raises FileNotFoundError for a missing folder, ConfigError for one without pictures or of no known layout.
    """
    return completed(*find(data), data)


def find(data: DataConfig) -> tuple[str, Found]:
    """Return the layout's name and all that lies there, nothing held out; raise as `find_splits` does."""
    if data.root is None and data.manifest is None and (data.a is None or data.b is None):
        raise ConfigError("no pictures given: set data.root=FOLDER, or data.a=FOLDER data.b=OTHER")
    data = dataclasses.replace(
        data,
        root=_here(data.root),
        manifest=_here(data.manifest),
        a=_here(data.a),
        b=_here(data.b),
    )
    for layout in LAYOUTS:
        wanted = layout.name == data.layout or (data.layout == "auto" and layout.recognises(data))
        if wanted and (found := layout.open(data)):
            return layout.name, found
    raise ConfigError(_unknown(data))


def _unknown(data: DataConfig) -> str:
    if data.root is None:
        return f"data.layout={data.layout} is not what data.a and data.b are; leave it to data.layout=auto"
    root = Path(data.root)
    if root.is_file():
        return f"{root}: a file, where a folder of pictures or a manifest is expected"
    if folders.holds_images(root):
        return (
            f"{root}: no layout recognised: one folder of pictures, not pairs side by side; name two folders, "
            "data.a=FOLDER data.b=OTHER, or insist: data.layout=aligned"
        )
    forms = "; ".join(f"{layout.name}: {layout.form}" for layout in LAYOUTS)
    return f"{root}: no layout recognised{folders.inside(root)}; accepted are {forms} (data.layout=NAME insists)"


def _here(name: str | None) -> str | None:
    """Return a place on this machine: with its ~ spelled out, or the copy of what lies at an address.

    Raises FileNotFoundError if there is nothing, FetchError if it cannot be fetched.
    """
    if name is not None and re.match(ADDRESS, name):
        from viceversa.data.remote import local_folder

        return str(local_folder(name))
    return name and str(require(Path(name).expanduser()))
