"""Shards: data sets in Parquet or Arrow files, read through Hugging Face `datasets` (extra `data`).

Every row can be had at any time, from memory-mapped files, so the order of training, continuing and ranks are as with
folders. A row is an image and its domain (columns `image` and `domain`), or a pair (`a` and `b`); an image is its
encoded bytes, by themselves or as `datasets.Image` keeps them. `name` is what it is called; its split is what the
column `split` says, or else the name of the file (`train-00000-of-00002.parquet`).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viceversa.config import ConfigError, DataConfig
from viceversa.data.datasets import Found, Split
from viceversa.data.image_data import ImageData, ImageError
from viceversa.data.image_io import read_image
from viceversa.files import cache_folder

if TYPE_CHECKING:
    from datasets import Dataset as Table

SPLITS = {"train": "train", "test": "test", "val": "val", "validation": "val", "valid": "val"}
MAGIC = {b"\x89PNG": ".png", b"\xff\xd8": ".jpg", b"RIFF": ".webp", b"GIF8": ".gif", b"BM": ".bmp", b"\x93NUM": ".npy"}
MAGIC |= {b"II": ".tiff", b"MM": ".tiff", b"P5": ".pgm", b"P6": ".ppm"}


@dataclass(frozen=True, slots=True)
class ShardSample:
    """The image in one cell of a table."""

    table: Table
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
        """Return the encoded image and the suffix of its format; raise ImageError if the cell holds none."""
        cell = self.table.data.fast_slice(self.row, 1).column(self.column)[0].as_py()
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(content, bytes):
            raise ImageError(f"{self}: column {self.column} holds no picture")
        return content, next((suffix for magic, suffix in MAGIC.items() if content.startswith(magic)), ".png")

    def open(self) -> ImageData:
        """Decode the image as if it were a file; raise ImageError if that cannot be done."""
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


def open_shards(data: DataConfig) -> Found:
    """Open the shards at `data.root`, or in a folder `data` there.

    Raises ConfigError if they cannot be read, or have other columns, or if `datasets` is not installed.
    """
    folders = (Path(data.root or ""), Path(data.root or "", "data"))
    files = next(filter(None, (sorted([*folder.glob("*.parquet"), *folder.glob("*.arrow")]) for folder in folders)), [])
    by_split: dict[str, list[Path]] = {}
    for file in files:
        word = re.match(r"[a-z]*", file.name)
        by_split.setdefault(SPLITS.get(word[0] if word else "", "train"), []).append(file)
    splits: dict[str, Split] = {}
    for name, own in by_split.items():
        table = _table(own)
        for split, rows in _rows_by_split(table, name).items():
            splits[split] = _split(table, f"{own[0].parent}: {name}", rows)
    if "train" not in splits:
        raise ConfigError(f"{data.root}: no shards to train on; they are called train-00000-of-00001.parquet, or so")
    return Found(splits["train"], splits.get("test"), splits.get("val"))


def _table(files: list[Path]) -> Table:
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
        return datasets.concatenate_datasets(tables)
    except Exception as error:  # pyarrow, datasets and what they stand on raise nearly anything on damaged files
        reason = " ".join(str(error.__cause__ or error).split())
        raise ConfigError(f"{files[0].parent}: shards that cannot be read ({reason})") from None
    finally:
        if not quiet:
            datasets.enable_progress_bars()


def _column(table: Table, name: str) -> list[Any]:
    values: list[Any] = table.data.column(name).to_pylist()
    return values


def _rows_by_split(table: Table, name: str) -> dict[str, list[int]]:
    if "split" not in table.column_names:
        return {name: list(range(len(table)))}
    found: dict[str, list[int]] = {}
    for row, value in enumerate(_column(table, "split")):
        if str(value) not in SPLITS:
            raise ConfigError(f"column split: use {', '.join(SPLITS)}")
        found.setdefault(SPLITS[str(value)], []).append(row)
    return found


def _split(table: Table, label: str, rows: Iterable[int]) -> Split:
    columns = set(table.column_names)
    if {"a", "b"} <= columns:
        a, b = (tuple(ShardSample(table, label, column, row) for row in rows) for column in "ab")
        return Split(a, b, paired=True)
    if not {"image", "domain"} <= columns:
        names = ", ".join(table.column_names)
        raise ConfigError(f"{label}: columns {names}; expected a and b (pairs), or image and domain (A or B)")
    domains = [str(value).upper() for value in _column(table, "domain")]
    sides: dict[str, list[ShardSample]] = {"A": [], "B": []}
    for row in rows:
        if domains[row] not in sides:
            raise ConfigError(f"{label}: column domain holds more than A and B")
        sides[domains[row]].append(ShardSample(table, label, "image", row))
    return Split(sides["A"], sides["B"])
