"""Data sets that a table lists: manifest.csv names files; Parquet files hold the images themselves.

A row is a pair (columns a and b), or one image: of domain A or B (only a or only b; in Parquet also `image` and
`domain`). Column `split` says train, test or val. Parquet is read through Hugging Face `datasets` (extra
`data`), from memory-mapped files: every row can be had at any time, so the order of training is as with folders.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from viceversa.config import ConfigError
from viceversa.data.datasets import FileSample, Found, Sample, Split
from viceversa.data.image_data import ImageData, ImageError
from viceversa.data.image_io import decode
from viceversa.files import cache_folder
from viceversa.paths import EXTENSIONS

if TYPE_CHECKING:
    from datasets import Dataset as Table

SPLITS = {"": "train", "train": "train", "test": "test", "val": "val", "validation": "val", "valid": "val"}
Row: TypeAlias = tuple[str, "Sample | None", "Sample | None"]  # split; images of A and B


def read_manifest(file: Path, folder: Path) -> Found:
    """Read a CSV whose paths are relative to a folder.

    Raises ConfigError, which names the line, also for paths that lead out of the folder: a manifest may come from
    anywhere, and must not reach images that its user did not mean.
    """
    if file.suffix.lower() != ".csv" or not file.is_file() or folder.is_file():
        raise ConfigError(f"data.manifest={file}: should be a .csv file, data.root a folder")
    try:
        with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            reader = csv.DictReader(lines, strict=True)
            if not {"a", "b"} & set(reader.fieldnames or ()):
                raise ConfigError(f"{file}: its first line should name the columns a,b,split")
            rows = [_listed(row, folder, f"{file}, line {reader.line_num}") for row in reader]
    except csv.Error as error:
        raise ConfigError(f"{file}: not a text of comma-separated values ({error})") from None
    return _found(rows, file)


def _listed(row: Mapping[str | None, str | None], folder: Path, where: str) -> Row:
    if None in row:
        raise ConfigError(f"{where}: more fields than columns; quote commas")
    a, b = (_file(row.get(column), folder, where) for column in "ab")
    if not (a or b):
        raise ConfigError(f"{where}: names no picture, neither a nor b")
    return row.get("split") or "", a, b


def _file(text: str | None, folder: Path, where: str) -> FileSample | None:
    """Return the picture of an entry; None if it is empty."""
    if not text:
        return None
    base = os.path.join(os.path.abspath(folder), "")
    path = os.path.normpath(os.path.join(base, text))
    if not path.startswith(base):
        raise ConfigError(
            f"{where}: {text} lies outside {folder}; if you mean it, give data.root=FOLDER that holds both"
        )
    if os.path.splitext(path)[1].lower() not in EXTENSIONS:
        raise ConfigError(f"{where}: {text} is not a picture, by its suffix")
    if "\0" in path or not os.path.isfile(path):
        raise ConfigError(f"{where}: {text}: no such file in {folder}")
    return FileSample(folder, path.removeprefix(base).replace(os.sep, "/"))


def _found(rows: Iterable[Row], where: Path) -> Found:
    """Return the rows by split; a split in which every row has both images is paired."""
    sides: dict[str, list[tuple[Sample | None, Sample | None]]] = {}
    for split, a, b in rows:
        if split not in SPLITS:
            raise ConfigError(f"{where}: split is {split!r}; use train, test or val, or leave it empty for train")
        sides.setdefault(SPLITS[split], []).append((a, b))
    splits: dict[str, Split] = {}
    for name, own in sides.items():
        one, other = (tuple(sample for row in own if (sample := row[side])) for side in (0, 1))
        splits[name] = Split(one, other, paired=len(one) == len(other) == len(own))
    train = splits.get("train", Split((), ()))
    if not train.a or not train.b:
        raise ConfigError(f"{where}: no training picture of domain {'B' if train.a else 'A'}")
    return Found(train, splits.get("test") or splits.get("val"))


@dataclass(frozen=True, slots=True)
class ShardSample:
    """The image in one cell of a table: encoded bytes, by themselves or as `datasets.Image` keeps them."""

    table: Table
    label: str
    column: str
    row: int
    name: str

    def __str__(self) -> str:
        return f"{self.label}, row {self.row}"

    def open(self) -> ImageData:
        """Decode the image as if it were a file; raise ImageError if that cannot be done."""
        cell = self.table.data.fast_slice(self.row, 1).column(self.column)[0].as_py()
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(content, bytes):
            raise ImageError(f"{self}: column {self.column} holds no picture")
        return decode(BytesIO(content), self)


def read_shards(files: list[Path]) -> Found:
    """Return the samples in Parquet files of one folder; their names may begin with the split. ConfigError if bad."""
    groups: dict[str, list[Path]] = {}
    for file in files:
        word = re.match("[a-z]*", file.name)
        groups.setdefault(word[0] if word and word[0] in SPLITS else "", []).append(file)
    return _found((row for split, own in groups.items() for row in _cells(_table(own), own[0].parent, split)), files[0])


def _table(files: list[Path]) -> Table:
    try:
        import datasets
    except ImportError:
        raise ConfigError(f'{files[0]}: shards need datasets; pip install "viceversa[data]"') from None
    datasets.disable_progress_bars()
    try:
        return datasets.Dataset.from_parquet(list(map(str, files)), cache_dir=str(cache_folder(store=True) / "shards"))
    except Exception as error:  # pyarrow, datasets and what they stand on raise nearly anything on damaged files
        reason = " ".join(str(error.__cause__ or error).split())
        raise ConfigError(f"{files[0].parent}: shards that cannot be read ({reason})") from None


def _cells(table: Table, folder: Path, split: str) -> Iterator[Row]:
    """Yield the rows of a table, of that split if it has no column that says so."""
    columns, label = set(table.column_names), f"{folder}: {split or 'train'}"
    pairs = {"a", "b"} <= columns
    if not pairs and not {"image", "domain"} <= columns:
        found = ", ".join(table.column_names)
        raise ConfigError(f"{label}: columns {found}; expected a and b (pairs), or image and domain (A or B)")
    said = {name: table.data.column(name).to_pylist() for name in columns & {"name", "split", "domain"}}
    for row in range(len(table)):
        name = str(said["name"][row]) if "name" in said else f"{row:08d}"
        own = str(said["split"][row] or "") if "split" in said else split
        if pairs:
            a, b = (ShardSample(table, label, column, row, name) for column in "ab")
            yield own, a, b
            continue
        sample, domain = ShardSample(table, label, "image", row, name), str(said["domain"][row]).upper()
        if domain not in ("A", "B"):
            raise ConfigError(f"{label}: column domain holds more than A and B")
        yield (own, sample, None) if domain == "A" else (own, None, sample)
