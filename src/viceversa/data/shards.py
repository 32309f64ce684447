"""Shards: data sets in Parquet or Arrow files, read through Hugging Face `datasets` (extra `data`).

Every row can be had at any time, from memory-mapped files, so the order of training, continuing and ranks are as with
folders. A row is a picture and its world (columns `image` and `world`), or a pair (`a` and `b`); a picture is its
encoded bytes, by themselves or as `datasets.Image` keeps them. `name` is what it is called; its split is what the
column `split` says, or else the name of the file (`train-00000-of-00002.parquet`).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from viceversa.config import ConfigError, DataConfig
from viceversa.data.datasets import Found, Sample, Split
from viceversa.data.image_data import ImageData, ImageError
from viceversa.data.image_io import read_image
from viceversa.files import cache_folder

if TYPE_CHECKING:
    from datasets import Dataset

SUFFIXES = (".parquet", ".arrow")
SPLITS = {"train": "train", "test": "test", "val": "val", "validation": "val", "valid": "val"}
MAGIC = {
    b"\x89PNG": ".png",
    b"\xff\xd8": ".jpg",
    b"RIFF": ".webp",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"\x93NUMPY": ".npy",
}
MAGIC |= {b"II": ".tiff", b"MM": ".tiff", b"P5": ".pgm", b"P6": ".ppm"}


@dataclass(frozen=True, slots=True)
class ShardSample:
    """The picture in one cell of a table."""

    table: Dataset
    label: str
    column: str
    row: int

    def __str__(self) -> str:
        return f"{self.label}, row {self.row}"

    @property
    def name(self) -> str:
        """What the column `name` says, or else the number of the row."""
        named = "name" in self.table.column_names
        return str(self.table.data.column("name")[self.row].as_py()) if named else f"{self.row:08d}"

    def content(self) -> tuple[bytes, str]:
        """Return the encoded picture and the suffix of its format; raise ImageError if the cell holds none."""
        cell = self.table.data.fast_slice(self.row, 1).column(self.column)[0].as_py()
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(content, bytes):
            raise ImageError(f"{self}: column {self.column} holds no picture")
        return content, next((suffix for magic, suffix in MAGIC.items() if content.startswith(magic)), ".png")

    def open(self) -> ImageData:
        """Decode the picture as if it were a file; raise ImageError if that cannot be done."""
        content, suffix = self.content()
        with tempfile.NamedTemporaryFile(suffix=suffix) as file:
            file.write(content)
            file.flush()
            try:
                return read_image(file.name)
            except ImageError as error:
                raise ImageError(str(error).replace(file.name, str(self))) from None

    def size(self) -> tuple[int, int] | None:
        """Return None: not known without reading it."""
        return None


@dataclass(frozen=True)
class ShardSamples(Sequence[Sample]):
    """The pictures in some rows of a column, made when they are asked for."""

    table: Dataset
    label: str
    column: str
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        """Return one item, or some."""
        if isinstance(index, slice):
            return ShardSamples(self.table, self.label, self.column, self.rows[index])
        return ShardSample(self.table, self.label, self.column, int(self.rows[index]))


def is_sharded(data: DataConfig) -> bool:
    """Whether `data.root` is a folder of such files, or one with a folder `data` of them."""
    return data.root is not None and bool(_files(Path(data.root)))


def open_shards(data: DataConfig) -> Found | None:
    """Open the shards at `data.root`; None if there are none.

    Raises ConfigError if they cannot be read, or have other columns, or if `datasets` is not installed.
    """
    files = _files(Path(data.root or ""))
    if not files:
        return None
    by_name: dict[str, list[Path]] = {}
    for file in files:
        word = re.match(r"[a-z]*", file.name)
        by_name.setdefault(SPLITS.get(word[0] if word else "", "train"), []).append(file)
    splits: dict[str, Split] = {}
    for name, own in by_name.items():
        table = _table(own)
        for split, rows in _by_split(table, name).items():
            splits[split] = _split(table, f"{own[0].parent}: {name}", rows)
    if "train" not in splits:
        raise ConfigError(f"{data.root}: no shards to train on; they are called train-00000-of-00001.parquet, or so")
    return Found(splits["train"], splits.get("test"), splits.get("val"))


def _files(root: Path) -> list[Path]:
    for folder in (root, root / "data"):
        if folder.is_dir() and (found := sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)):
            return found
    return []


def _table(files: list[Path]) -> Dataset:
    try:
        import datasets
    except ImportError:
        raise ConfigError(f'{files[0]}: shards need datasets; pip install "viceversa[data]"') from None
    quiet = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        parquet = [str(file) for file in files if file.suffix == ".parquet"]
        tables = [datasets.Dataset.from_file(str(file)) for file in files if file.suffix == ".arrow"]
        for table in tables:
            table.data.validate(full=True)  # an offset that points elsewhere would be read from there
        if parquet:
            tables.append(datasets.Dataset.from_parquet(parquet, cache_dir=str(cache_folder() / "shards")))
        return datasets.concatenate_datasets(tables) if len(tables) > 1 else tables[0]
    except Exception as error:  # pyarrow, datasets and what they stand on raise nearly anything on damaged files
        reason = " ".join(str(error.__cause__ or error).split())
        raise ConfigError(f"{files[0].parent}: shards that cannot be read ({reason})") from None
    finally:
        if not quiet:
            datasets.enable_progress_bars()


def _by_split(table: Dataset, name: str) -> dict[str, NDArray[np.int64]]:
    """Return the rows of each split."""
    if "split" not in table.column_names:
        return {name: np.arange(len(table))}
    said = np.array([SPLITS.get(str(value), "") for value in table.data.column("split").to_pylist()])
    if "" in said:
        raise ConfigError(f"column split: use {', '.join(SPLITS)}")
    return {str(split): np.flatnonzero(said == split) for split in np.unique(said)}


def _split(table: Dataset, label: str, rows: NDArray[np.int64]) -> Split:
    columns = set(table.column_names)
    if {"a", "b"} <= columns:
        return Split(ShardSamples(table, label, "a", rows), ShardSamples(table, label, "b", rows), paired=True)
    if not {"image", "world"} <= columns:
        names = ", ".join(table.column_names)
        raise ConfigError(f"{label}: columns {names}; expected a and b (pairs), or image and world (A or B)")
    worlds = np.array([str(value).upper() for value in table.data.column("world").to_pylist()])[rows]
    a, b = (ShardSamples(table, label, "image", rows[worlds == world]) for world in "AB")
    if len(a) + len(b) < len(rows):
        raise ConfigError(f"{label}: column world holds more than A and B")
    return Split(a, b)
