"""From any layout to any other. Files are copied byte for byte; only cutting and joining encodes, without loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path

from viceversa.config import DataConfig
from viceversa.data.datasets import Found, Split, matched
from viceversa.data.layouts import find
from viceversa.data.prepare.write import MANIFEST, Splits, Track, Writer, in_domains, side_by_side
from viceversa.files import replacing_folder

TARGETS: dict[str, Callable[[Splits, Writer], object]] = {
    "trainA": lambda splits, writer: writer.files(in_domains(splits, "{split}{domain}")),
    "train/A": lambda splits, writer: writer.files(in_domains(splits, "{split}/{domain}")),
    "paired": lambda splits, writer: writer.files(in_domains(splits, "{split}/{domain}")),
    "aligned": lambda splits, writer: writer.files(side_by_side(splits)),
    "csv": lambda splits, writer: writer.with_manifest(splits, MANIFEST),
    "jsonl": lambda splits, writer: writer.with_manifest(splits, "manifest.jsonl"),
}
"""How to write each layout."""
PAIRS = ("paired", "aligned")  # the layouts that hold nothing but pairs


@dataclass(frozen=True)
class Outcome:
    """How it went: what was written, which samples had no partner, and which failed and why."""

    counts: str
    alone: list[str]
    failed: dict[str, str]


def splits_of(found: Found) -> Splits:
    """Return what was found, by split."""
    splits = {"train": found.train, "val": found.val, "test": found.test}
    return {name: split for name, split in splits.items() if split}


def convert(
    data: DataConfig,
    out: Path,
    to: str,
    *,
    link: bool = False,
    overwrite: bool = False,
    track: Track = lambda jobs, total: jobs,
) -> Outcome:
    """Write a data set into the folder `out` in the layout `to`, one of TARGETS: whole or not at all.

    Where the layout takes pairs alone, unpaired domains are paired by name. With `link` files become hard links instead
    of copies. Raises ConfigError or FileNotFoundError for what cannot be read, FileExistsError for an `out` that is in
    the way, and ValueError for names that cannot be used.
    """
    unpaired = dataclasses.replace(data, layout="unpaired") if data.layout == "paired" else data
    splits = splits_of(find(unpaired)[1])
    alone: list[str] = []
    if to in PAIRS or data.layout == "paired":
        splits = {name: _pair(split, alone) for name, split in splits.items()}
    failed = rewrite(splits, data, out, TARGETS[to], link=link, overwrite=overwrite, track=track)
    return Outcome(counted(splits, failed), alone, failed)


def rewrite(
    splits: Splits,
    data: DataConfig,
    out: Path,
    write: Callable[[Splits, Writer], object],
    *,
    link: bool,
    overwrite: bool,
    track: Track,
) -> dict[str, str]:
    """Write splits into `out`, whole or not at all; return what failed and why. `data` is where they come from."""
    for place in filter(None, (data.root, data.a, data.b)):
        source, target = Path(place).expanduser().resolve(), out.resolve()
        if source.is_relative_to(target) or target.is_relative_to(source):
            raise FileExistsError(f"{out}: lies within {place}, or holds it; choose a folder elsewhere")
    with replacing_folder(out, overwrite=overwrite) as folder:
        writer = Writer(folder, link, track)
        write(splits, writer)
        if not any(path.is_file() for path in folder.rglob("*")):
            raise ValueError(f"nothing could be written: {next(iter(writer.failed.values()))}")
    return writer.failed


def counted(splits: Splits, failed: Container[str] = ()) -> str:
    """Say how many images the splits hold, without those that failed."""
    counts = []
    for name, split in splits.items():
        a, b = ([str(item) not in failed for item in items] for items in (split.a, split.b))
        both = sum(map(all, zip(a, b, strict=True))) if split.paired else 0
        counts.append(f"{name} {both} pairs" if split.paired else f"{name} {sum(a)} A, {sum(b)} B")
    return "; ".join(counts)


def _pair(split: Split, alone: list[str]) -> Split:
    """Pair by name what is not paired, and note what has no partner."""
    if split.paired:
        return split
    pairs, _ = matched(split)
    paired = {*pairs.a, *pairs.b}
    alone += [str(item) for item in (*split.a, *split.b) if item not in paired]
    return pairs
