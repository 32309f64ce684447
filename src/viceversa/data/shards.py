"""Shards: data sets in Parquet or Arrow files, read through Hugging Face `datasets` (extra `data`).

Every row can be had at any time, from memory-mapped files, so the order of training, continuing and ranks are as with
folders. A row is an image and its domain (columns `image` and `domain`), or a pair (`a` and `b`); an image is its
encoded bytes, by themselves or as `datasets.Image` keeps them. `name` is what it is called; its split is what the
column `split` says, or else the name of the file (`train-00000-of-00002.parquet`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from viceversa.config import ConfigError
from viceversa.data.datasets import Found, Split
from viceversa.data.image_data import ImageData, ImageError
from viceversa.data.image_io import decode
from viceversa.files import cache_folder

if TYPE_CHECKING:
    from datasets import Dataset as Table

SPLITS = {"train": "train", "test": "test", "val": "val", "validation": "val", "valid": "val"}


@dataclass(frozen=True, slots=True)
class ShardSample:
    """The image in one cell of a table."""

    table: Table
    label: str
    column: str
    row: int
    name: str

    def __str__(self) -> str:
        return f"{self.label}, row {self.row}"

    def content(self) -> bytes:
        """Return the encoded image; raise ImageError if the cell holds none."""
        cell = self.table.data.fast_slice(self.row, 1).column(self.column)[0].as_py()
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(content, bytes):
            raise ImageError(f"{self}: column {self.column} holds no picture")
        return content

    def open(self) -> ImageData:
        """Decode the image as if it were a file; raise ImageError if that cannot be done."""
        return decode(BytesIO(self.content()), self)


def read_shards(files: list[Path]) -> Found:
    """Return the samples in some files of one folder.

    Raises ConfigError if they cannot be read, or have other columns, or if `datasets` is not installed.
    """
    splits: dict[str, Split] = {}
    for said in dict.fromkeys(map(_said_split, files)):
        table, label = _table([file for file in files if _said_split(file) == said]), f"{files[0].parent}: {said}"
        values = table.data.column("split").to_pylist() if "split" in table.column_names else [said] * len(table)
        if not SPLITS.keys() >= set(values):
            raise ConfigError(f"{label}: column split: use {', '.join(SPLITS)}")
        for name in dict.fromkeys(SPLITS[value] for value in values):
            splits[name] = _split(table, label, [row for row, value in enumerate(values) if SPLITS[value] == name])
    if "train" not in splits:
        raise ConfigError(f"{files[0].parent}: no shards to train on; call them train-00000-of-00001.parquet, or so")
    return Found(splits["train"], splits.get("test"), splits.get("val"))


def _said_split(file: Path) -> str:
    word = re.match("[a-z]*", file.name)
    return SPLITS.get(word[0] if word else "", "train")


def _table(files: list[Path]) -> Table:
    try:
        import datasets
    except ImportError:
        raise ConfigError(f'{files[0]}: shards need datasets; pip install "viceversa[data]"') from None
    datasets.disable_progress_bars()
    try:
        tables = [datasets.Dataset.from_file(str(file)) for file in files if file.suffix == ".arrow"]
        for table in tables:
            table.data.validate(full=True)  # an offset that points elsewhere would be read from there
        parquet = [str(file) for file in files if file.suffix == ".parquet"]
        if parquet:
            tables.append(datasets.Dataset.from_parquet(parquet, cache_dir=str(cache_folder(store=True) / "shards")))
        return datasets.concatenate_datasets(tables)
    except Exception as error:  # pyarrow, datasets and what they stand on raise nearly anything on damaged files
        reason = " ".join(str(error.__cause__ or error).split())
        raise ConfigError(f"{files[0].parent}: shards that cannot be read ({reason})") from None


def _split(table: Table, label: str, rows: list[int]) -> Split:
    columns = set(table.column_names)
    names = table.data.column("name").to_pylist() if "name" in columns else [f"{row:08d}" for row in range(len(table))]
    if {"a", "b"} <= columns:
        sides = [tuple(ShardSample(table, label, key, row, str(names[row])) for row in rows) for key in "ab"]
        return Split(sides[0], sides[1], paired=True)
    if not {"image", "domain"} <= columns:
        found = ", ".join(table.column_names)
        raise ConfigError(f"{label}: columns {found}; expected a and b (pairs), or image and domain (A or B)")
    domains = [str(value).upper() for value in table.data.column("domain").to_pylist()]
    if not {"A", "B"} >= set(domains):
        raise ConfigError(f"{label}: column domain holds more than A and B")
    samples = {row: ShardSample(table, label, "image", row, str(names[row])) for row in rows}
    a, b = (tuple(sample for row, sample in samples.items() if domains[row] == domain) for domain in "AB")
    return Split(a, b)
