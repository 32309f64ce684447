"""Dividing images into train, val and test: by a hash of the name, what shows the same kept together.

An image stays on its side when others come or go, and on every machine. A fraction of 5 % for testing gives the very
split that training makes by itself when there is none (`data.test_fraction`), but for duplicates.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from viceversa.config import ConfigError, DataConfig
from viceversa.data.check.copies import joined
from viceversa.data.datasets import FileSample, Sample, Split, place
from viceversa.data.layouts import find
from viceversa.data.prepare.convert import MANIFEST, Splits, counted, list_in_place, splits_of, write_splits
from viceversa.data.shards import ShardSample
from viceversa.files import Track

Unit: TypeAlias = tuple[str, str, tuple[Sample, ...]]  # the split it lies in now; "A", "B" or "AB"; its samples


@dataclass(frozen=True)
class Division:
    """Where the split was written, what it holds, how many copies were kept together, and what failed and why."""

    place: Path
    counts: str
    duplicates: int
    failed: dict[str, str]


def split_data(
    data: DataConfig,
    out: Path | None,
    *,
    test: float | None = None,
    val: float | None = None,
    link: bool = False,
    overwrite: bool = False,
    track: Track = lambda jobs, total: jobs,
) -> Division:
    """Split the data set at `data.root`: list it in a manifest there, or write it into the folder `out`.

    `test` and `val` are fractions; without any, a tenth is for testing. Raises ConfigError for fractions that make no
    sense, FileExistsError for what is in the way, and as `convert` does.
    """
    layout, found = find(data)
    splits = splits_of(found)
    if test is None and "test" not in splits:
        test = 0.1
    fractions = {name: part for name, part in (("test", test), ("val", val)) if part is not None}
    divided, duplicates = divide(splits, fractions)
    if out is not None:
        to = "aligned" if layout == "aligned" else "train/A" if found.train.paired else "trainA"
        failed = write_splits(divided, data, out, to, link=link, overwrite=overwrite, track=track)
        return Division(out, counted(divided, failed), duplicates, failed)
    root = Path(data.root or "").expanduser()
    path = root / MANIFEST
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path}: there is one already; --overwrite it, or write a new folder: --out FOLDER")
    list_in_place(divided, root)
    return Division(path, counted(divided), duplicates, {})


def divide(splits: Splits, fractions: Mapping[str, float]) -> tuple[Splits, int]:
    """Divide the training images; return the splits, and how many images (or pairs) are copies of others.

    `fractions` are those of "test" and "val". What has a split already keeps it. Images of the same content, and those
    of both domains under one name, stay together; so do pairs. Of each wanted split there is at least one group, if
    there are enough of them. Raises ConfigError for fractions that leave nothing to train on, or that concern a split
    that exists.
    """
    for name in fractions.keys() & splits.keys():
        raise ConfigError(f"there is a {name} split already; it stays as it is, so give no fraction for it")
    if not fractions:
        raise ConfigError("it is split already, into " + " and ".join(splits))
    if min(fractions.values()) <= 0 or sum(fractions.values()) >= 1:
        raise ConfigError("fractions are above 0, and leave something to train on: below 1 together")
    units = [(name, *unit) for name, split in splits.items() for unit in split.units()]
    groups, duplicates = _groups(units)
    sides = _sides(units, groups, fractions)
    chosen: dict[str, list[Unit]] = {name: [] for name in ("train", "val", "test")}
    for unit, group in zip(units, groups, strict=True):
        chosen[sides[group]].append(unit)
    paired = splits["train"].paired
    return {name: _split(members, paired) for name, members in chosen.items() if members}, duplicates


def _split(members: list[Unit], paired: bool) -> Split:
    if paired:
        return Split(tuple(a for _, _, (a, _) in members), tuple(b for _, _, (_, b) in members), paired=True)
    a, b = (tuple(samples[0] for _, own, samples in members if own == domain) for domain in "AB")
    return Split(a, b)


def _groups(units: list[Unit]) -> tuple[list[int], int]:
    """Return for each unit the number that its group has, and how many units are copies of others."""
    named: defaultdict[str, list[int]] = defaultdict(list)  # one name: the same scene in both domains
    for number, (_, _, samples) in enumerate(units):
        named[unicodedata.normalize("NFC", samples[0].name)].append(number)
    same = _by_content(units)
    groups = list(range(len(units)))
    for group in joined([(members[0], other) for members in (*same, *named.values()) for other in members[1:]]):
        for unit in group:
            groups[unit] = group[0]
    return groups, sum(len(members) - 1 for members in same)


def _by_content(units: list[Unit]) -> Iterable[list[int]]:
    """Return which units hold the same bytes. Files are only read if there are others of their length."""
    lengths: defaultdict[int, set[Path | Sample]] = defaultdict(set)
    holders: defaultdict[Path | Sample, set[int]] = defaultdict(set)
    for number, (_, _, samples) in enumerate(units):
        for sample in samples:
            source = sample.path if isinstance(sample, FileSample) else sample
            holders[source].add(number)
            lengths[source.stat().st_size if isinstance(source, Path) else 0].add(source)
    same: defaultdict[bytes, set[int]] = defaultdict(set)
    for source in (source for sources in lengths.values() if len(sources) > 1 for source in sources):
        same[hashlib.sha256(_content(source)).digest()] |= holders[source]
    return [sorted(numbers) for numbers in same.values() if len(numbers) > 1]


def _content(source: Path | Sample) -> bytes:
    if isinstance(source, Path):
        return source.read_bytes()
    return source.content() if isinstance(source, ShardSample) else source.open().pixels.tobytes()


def _sides(units: list[Unit], groups: list[int], fractions: Mapping[str, float]) -> dict[int, str]:
    """Return the split of each group."""
    names: dict[int, str] = {}
    domains: defaultdict[str, set[int]] = defaultdict(set)
    sides: dict[int, str] = {}
    for (now, domain, samples), group in zip(units, groups, strict=True):
        names[group] = min(names.get(group, samples[0].name), samples[0].name)
        domains[domain].add(group)
        if now != "train":
            sides[group] = now
    free = sorted(names.keys() - sides.keys(), key=lambda group: (place(names[group]), names[group]))
    for group in free:
        limit = 0.0
        sides[group] = "train"
        for name, fraction in fractions.items():
            if limit <= place(names[group]) < limit + fraction:
                sides[group] = name
            limit += fraction
    for members in domains.values():  # as few images as there may be, each domain has its part in every split
        own = [group for group in free if group in members]
        for name in (*fractions, "train"):
            spare = [group for group in own if Counter(sides[other] for other in own)[sides[group]] > 1]
            if spare and not any(sides[group] == name for group in own):
                sides[spare[-1] if name == "train" else spare[0]] = name
    return sides
