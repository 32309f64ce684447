"""Writing manifests: which picture belongs to which world, pair and split, in one file of text."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from viceversa.config import ConfigError
from viceversa.data.datasets import FileSample, Sample
from viceversa.data.prepare.write import PICTURES, Splits, Writer, in_worlds
from viceversa.files import replacing

MANIFEST = "manifest.csv"  # where a data set's own list is looked for
Row: TypeAlias = tuple[str, str, str]  # a, b, split; paths with forward slashes, empty if there is none


def copy_and_list(splits: Splits, writer: Writer, name: str) -> None:
    """Write the pictures, and a manifest beside them. A pair of which one could not be written is left out."""
    files = {job.items[0]: file for job, file in writer.files(in_worlds(splits, PICTURES)).items()}
    write_manifest(writer.folder / name, _rows(splits, files))


def list_in_place(splits: Splits, root: Path, path: Path) -> None:
    """Write a manifest of pictures where they are, with paths relative to `root`.

    Raises ConfigError for what is no file of its own, or lies outside.
    """
    items = [item for split in splits.values() for item in (*split.a, *split.b)]
    write_manifest(path, _rows(splits, {item: _relative(item, root) for item in items}))


def write_manifest(path: Path, rows: Iterable[Row]) -> None:
    """Write CSV or JSON lines, as the suffix says. Raises ValueError for names that CSV in UTF-8 cannot hold."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            file.writelines(json.dumps(dict(zip(("a", "b", "split"), row, strict=True))) + "\n" for row in rows)
            return
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("a", "b", "split"))
        for row in rows:
            try:
                table.writerow(row)
            except UnicodeEncodeError:
                raise ValueError(f"{row!r}: a name that is not UTF-8; write .jsonl, or rename it") from None


def _rows(splits: Splits, files: dict[Sample, str]) -> Iterable[Row]:
    for name, split in splits.items():
        if split.paired:
            both = ((files.get(a), files.get(b)) for a, b in zip(split.a, split.b, strict=True))
            yield from ((a, b, name) for a, b in both if a and b)
        else:
            yield from ((files[item], "", name) for item in split.a if item in files)
            yield from (("", files[item], name) for item in split.b if item in files)


def _relative(item: Sample, root: Path) -> str:
    if not isinstance(item, FileSample) or item.half:
        raise ConfigError(f"{item}: a manifest lists files of one picture each; write a new folder: --out FOLDER")
    path = os.path.relpath(item.path, root).replace(os.sep, "/")
    if path.startswith("../"):
        raise ConfigError(f"{item}: lies outside {root}; write a new folder: --out FOLDER")
    return path
