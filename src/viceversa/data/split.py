"""Dividing images into train, val and test: by a hash of the name, what shows the same kept together.

An image stays on its side when others come or go, and on every machine. A fraction of 5 % for testing gives the very
split that training makes by itself when there is none (`data.test_fraction`), but for duplicates.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from viceversa.config import ConfigError, DataConfig
from viceversa.data.check.copies import joined
from viceversa.data.convert import MANIFEST, counted, relative_files, write_manifest
from viceversa.data.datasets import Sample, Split, Splits, place
from viceversa.data.layouts import find

Unit: TypeAlias = tuple[str, str, tuple[Sample, ...]]  # the split it lies in now; "A", "B" or "AB"; its samples


@dataclass(frozen=True)
class Division:
    """Where the split was written, what it holds, and how many copies were kept together."""

    place: Path
    counts: str
    duplicates: int


def split_data(
    data: DataConfig, *, test: float | None = None, val: float | None = None, overwrite: bool = False
) -> Division:
    """Split the data set at `data.root` by a manifest there that says what belongs where.

    `test` and `val` are fractions; without any, a tenth is for testing. Raises ConfigError for fractions that make no
    sense, and for what a manifest cannot list; FileExistsError if there is one.
    """
    root = Path(data.root or "").expanduser()
    splits, manifest = find(data)[1].splits(), root / MANIFEST
    if manifest.exists() and not overwrite:
        raise FileExistsError(f"{manifest}: there is one already; --overwrite replaces it")
    files = relative_files(splits, root)
    if test is None and "test" not in splits:
        test = 0.1
    divided, duplicates = divide(splits, {k: v for k, v in (("test", test), ("val", val)) if v is not None})
    write_manifest(manifest, divided, files)
    return Division(manifest, counted(divided), duplicates)


def divide(splits: Splits, fractions: Mapping[str, float]) -> tuple[Splits, int]:
    """Divide the training images; return the splits, and how many images (or pairs) are copies of others.

    `fractions` are those of "test" and "val". What has a split already keeps it. Files of the same content, and those
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
    sides: dict[str, list[Sample]] = {"A": [], "B": []}
    for _, domains, samples in members:
        for domain, sample in zip(domains, samples, strict=True):
            sides[domain].append(sample)
    return Split(tuple(sides["A"]), tuple(sides["B"]), paired)


def _groups(units: list[Unit]) -> tuple[list[int], int]:
    """Return for each unit the number that its group has, and how many units are copies of others."""
    named: defaultdict[str, list[int]] = defaultdict(list)  # one name: the same scene in both domains
    for number, (_, _, samples) in enumerate(units):
        named[unicodedata.normalize("NFC", samples[0].name)].append(number)
    same = _of_one_content(units)
    groups = list(range(len(units)))
    for group in joined([(members[0], other) for members in (*same, *named.values()) for other in members[1:]]):
        for unit in group:
            groups[unit] = group[0]
    return groups, sum(len(members) - 1 for members in same)


def _of_one_content(units: list[Unit]) -> list[list[int]]:
    """Return which units hold files of the same bytes; a file is only read if there are others of its length."""
    holders: defaultdict[str, set[int]] = defaultdict(set)
    for number, (_, _, samples) in enumerate(units):
        for sample in samples:
            holders[str(sample)].add(number)
    lengths = {file: os.path.getsize(file) for file in holders}
    counts = Counter(lengths.values())
    same: defaultdict[bytes, set[int]] = defaultdict(set)
    for file in (file for file, length in lengths.items() if counts[length] > 1):
        same[hashlib.sha256(Path(file).read_bytes()).digest()] |= holders[file]
    return [sorted(numbers) for numbers in same.values() if len(numbers) > 1]


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
