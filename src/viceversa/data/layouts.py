"""Which layout is this? The table of all layouts, from `data.root`, or `data.a` and `data.b`, to a data set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from viceversa.config import ConfigError, DataConfig
from viceversa.data import cache, folders, manifest, shards
from viceversa.data.datasets import DatasetSplits, Found, completed
from viceversa.data.remote import is_remote, local_folder
from viceversa.files import require


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


LAYOUTS = (
    Layout(
        "cache",
        "cache.json and pixels.npy, as `viceversa data cache` writes them",
        "what the cache was made of, decoded and resized already",
        cache.is_cache,
        cache.open_cache,
    ),
    Layout(
        "manifest",
        "manifest.csv, .tsv or .jsonl in the folder; or data.root=FILE.csv, or data.manifest=FILE.csv",
        "as it says: columns a, b and split; pairs where every row has both",
        manifest.is_manifest,
        manifest.open_manifest,
    ),
    Layout(
        "shards",
        "*.parquet or *.arrow files in the folder, or in data/ below it",
        "as their columns say: a and b are pairs; or image, and world A or B",
        shards.is_sharded,
        shards.open_shards,
    ),
    Layout(
        "single",
        "data.a=one.jpg data.b=other.png",
        "a single picture for each world",
        folders.are_single,
        folders.open_single,
    ),
    Layout(
        "unpaired",
        "trainA/ trainB/ (or train_A/ train_B/), train/A/ train/B/, A/ B/, or any data.a and data.b",
        "two worlds; `testA/ testB/` or `valA/ valB/` beside them are the test pictures",
        folders.has_two_worlds,
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
    if folders.holds_pictures(root):
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
    if name is not None and is_remote(name):
        return str(local_folder(name))
    return name and str(require(Path(name).expanduser()))
