"""Writing shards: Parquet files of encoded pictures, which `data/shards.py`, the Hugging Face Hub and others read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from viceversa.config import ConfigError
from viceversa.data.datasets import Split
from viceversa.data.prepare.encode import Encoded
from viceversa.data.prepare.write import Job, Splits, Writer, bare_name

Row: TypeAlias = dict[str, Any]
SHARD, GROUP = 500 * 10**6, 16 * 10**6  # bytes of pictures in a file, and in what is read at once
ROWS = 100  # at most, at once


def write_shards(splits: Splits, writer: Writer) -> None:
    """Write the pictures of each split as SPLIT-00000-of-0000N.parquet, in their order.

    Raises ConfigError if `datasets` is not installed, ValueError for names that are not UTF-8.
    """
    for name, split in splits.items():
        parts = list(_write(_rows(name, split, writer), split.paired, writer.folder, name))
        for number, part in enumerate(parts):
            part.rename(writer.folder / f"{name}-{number:05d}-of-{len(parts):05d}.parquet")


def _rows(name: str, split: Split, writer: Writer) -> Iterator[Row]:
    """Yield the rows; a pair of which one picture cannot be had is left out."""
    if not split.paired:
        for world, items in (("A", split.a), ("B", split.b)):
            jobs = [Job(bare_name(item, name, world), (item,)) for item in items]
            for job, encoded in writer.encoded(jobs):
                yield {"name": job.target, "world": world, "image": _cell(job, encoded)}
        return
    pairs = zip(split.a, split.b, strict=True)
    jobs = [Job(bare_name(a, name, "A"), (item,)) for a, b in pairs for item in (a, b)]
    before: tuple[Job, Encoded] | None = None
    for place, (job, encoded) in _placed(jobs, writer):
        if place % 2 == 0:
            before = job, encoded
        elif before and before[0] is jobs[place - 1]:
            yield {"name": job.target, "a": _cell(*before), "b": _cell(job, encoded)}


def _placed(jobs: list[Job], writer: Writer) -> Iterator[tuple[int, tuple[Job, Encoded]]]:
    """Yield what could be encoded, with its place in the list."""
    places = {id(job): place for place, job in enumerate(jobs)}
    for job, encoded in writer.encoded(jobs):
        yield places[id(job)], (job, encoded)


def _cell(job: Job, encoded: Encoded) -> Row:
    content = encoded.content if isinstance(encoded.content, bytes) else encoded.content.read_bytes()
    return {"bytes": content, "path": job.target.rpartition("/")[2] + encoded.suffix}


def _write(rows: Iterator[Row], paired: bool, folder: Path, name: str) -> Iterator[Path]:
    """Write the rows into files of some SHARD bytes, and yield their temporary paths."""
    try:
        import pyarrow.parquet as pq
        from datasets import Features, Image, Value
    except ImportError:
        raise ConfigError('shards need datasets; pip install "viceversa[data]"') from None
    pictures = {"a": Image(), "b": Image()} if paired else {"world": Value("string"), "image": Image()}
    schema = Features({"name": Value("string"), **pictures}).arrow_schema
    groups = _groups(rows)
    group, number = next(groups, None), 0
    while group is not None:
        path, written = folder / f"{name}.{number}.partial", 0
        with pq.ParquetWriter(path, schema, compression="none") as file:  # pictures are compressed already
            while group is not None and written < SHARD:
                file.write_table(_table(group[0], schema))
                written += group[1]
                group = next(groups, None)
        yield path
        number += 1


def _groups(rows: Iterator[Row]) -> Iterator[tuple[list[Row], int]]:
    """Yield rows in lists of about GROUP bytes, and how many bytes those are."""
    group: list[Row] = []
    size = 0
    for row in rows:
        group.append(row)
        size += sum(len(cell["bytes"]) for cell in row.values() if isinstance(cell, dict))
        if size >= GROUP or len(group) >= ROWS:
            yield group, size
            group, size = [], 0
    if group:
        yield group, size


def _table(rows: list[Row], schema: Any) -> Any:
    import pyarrow

    try:
        return pyarrow.Table.from_pylist(rows, schema=schema)
    except UnicodeEncodeError as error:
        raise ValueError(f"{error.object!r}: a name that is not UTF-8; rename it") from None
