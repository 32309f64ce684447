"""A list of pictures in one file: CSV, TSV or JSON lines, with the fields a, b and split."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from viceversa.config import ConfigError
from viceversa.data.datasets import FileSample, Found, Split
from viceversa.paths import EXTENSIONS

SUFFIXES = frozenset({".csv", ".tsv", ".jsonl"})
SPLITS = ("train", "test", "val")


def read_manifest(file: Path, folder: Path) -> Found:
    """Read a manifest whose paths are relative to a folder.

    A split in which every row names both images is paired. Raises ConfigError, which names the line, for what is not
    understood, for files that do not exist, and for paths that lead out of the folder: a manifest may come from
    anywhere, and must not reach images that its user did not mean.
    """
    if file.suffix.lower() not in SUFFIXES or not file.is_file() or folder.is_file():
        raise ConfigError(f"data.manifest={file}: should be a {', '.join(sorted(SUFFIXES))} file, data.root a folder")
    rows: dict[str, list[tuple[FileSample | None, FileSample | None]]] = {name: [] for name in SPLITS}
    for number, row in _rows(file):
        where = f"{file}, line {number}"
        a, b = (_sample(row.get(column), folder, where) for column in "ab")
        split = row.get("split") or "train"
        if split not in SPLITS:
            raise ConfigError(f"{where}: split is {split!r}; use {', '.join(SPLITS)}, or leave it empty for train")
        if not (a or b):
            raise ConfigError(f"{where}: names no picture, neither a nor b")
        rows[split].append((a, b))
    train, test, val = (_split(rows[name]) for name in SPLITS)
    for column, samples in (("a", train.a), ("b", train.b)):
        if not samples:
            raise ConfigError(f"{file}: no training picture in column {column}")
    return Found(train, test if rows["test"] else None, val if rows["val"] else None)


def _rows(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the rows with their line numbers."""
    try:
        with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            if file.suffix.lower() == ".jsonl":
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        yield number, _object(line, f"{file}, line {number}")
                return
            reader = csv.DictReader(lines, delimiter="\t" if file.suffix.lower() == ".tsv" else ",", strict=True)
            if not {"a", "b"} & set(reader.fieldnames or ()):
                raise ConfigError(f"{file}: its first line should name the columns a,b,split")
            for row in reader:
                if None in row:
                    raise ConfigError(f"{file}, line {reader.line_num}: more fields than columns; quote commas")
                yield reader.line_num, row
    except csv.Error as error:
        raise ConfigError(f"{file}: not a text of the form that its suffix says ({error})") from None


def _object(line: str, where: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: not JSON ({error})") from None
    if not isinstance(row, dict) or not all(isinstance(row.get(key, ""), (str, type(None))) for key in "ab"):
        raise ConfigError(f'{where}: expected {{"a": "photos/1.jpg", "b": "drawings/1.png", "split": "train"}}')
    return row


def _sample(text: str | None, folder: Path, where: str) -> FileSample | None:
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


def _split(rows: list[tuple[FileSample | None, FileSample | None]]) -> Split:
    a, b = (tuple(sample for row in rows if (sample := row[side])) for side in (0, 1))
    return Split(a, b, paired=bool(rows) and len(a) == len(b) == len(rows))
