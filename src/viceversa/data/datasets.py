"""What a data set is: samples to train on, samples to test on, paired or not, and a sentence that says so."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from viceversa.config import ConfigError, DataConfig
from viceversa.data.image_data import ImageData, ImageError
from viceversa.data.image_io import read_image


class Sample(Protocol):
    """One image of one domain, wherever it lies. It is cheap to have, and does nothing before it is opened.

    Background workers get their own copy, so a sample is made of plain values. `str(sample)` is what messages call it,
    and what broken images are counted by: samples that break together (the halves of one file) share it.
    """

    @property
    def name(self) -> str:
        """What translations are called: without suffix, with `/` where it lay in subfolders."""
        ...

    def open(self) -> ImageData:
        """Return the decoded image; raise ImageError, which names the sample, if that cannot be done."""
        ...


@dataclass(frozen=True, slots=True)
class FileSample:
    """An image file, or the left or right half of one; `file` is its path within `folder`, with forward slashes."""

    folder: Path
    file: str
    half: Literal["left", "right"] | None = None

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self.folder / self.file

    @property
    def name(self) -> str:
        """The path within the folder, without suffix."""
        return os.path.splitext(self.file)[0]

    def __str__(self) -> str:
        return os.path.join(self.folder, self.file)

    def open(self) -> ImageData:
        """Decode the file, and take the half; raise ImageError for what cannot be read, or is too narrow to halve."""
        return self.part(read_image(self.path))

    def part(self, whole: ImageData) -> ImageData:
        """Return this sample's part of its decoded file; a middle column of an odd width belongs to neither half."""
        if self.half is None:
            return whole
        middle = whole.pixels.shape[1] // 2
        if not middle:
            raise ImageError(f"{self}: too narrow to hold two pictures side by side")
        columns = slice(None, middle) if self.half == "left" else slice(-middle, None)
        alpha = None if whole.alpha is None else whole.alpha[:, columns]
        return replace(whole, pixels=whole.pixels[:, columns], alpha=alpha)


def open_each(samples: Sequence[Sample]) -> list[ImageData | ImageError]:
    """Open the samples of one draw, halves of one file at once; the error of one that fails takes its place."""
    opened: list[ImageData | ImageError] = []
    wholes: dict[Path, ImageData] = {}
    for sample in samples:
        try:
            if isinstance(sample, FileSample) and sample.half is not None:
                if sample.path not in wholes:
                    wholes[sample.path] = read_image(sample.path)
                opened.append(sample.part(wholes[sample.path]))
            else:
                opened.append(sample.open())
        except ImageError as error:
            opened.append(error)
    return opened


@dataclass(frozen=True)
class Split:
    """Samples of domains A and B; `paired`: a[i] and b[i] show the same."""

    a: Sequence[Sample]
    b: Sequence[Sample]
    paired: bool = False

    def of(self, domain: str) -> Sequence[Sample]:
        """Return the samples of "A" or "B"."""
        return self.a if domain == "A" else self.b

    def units(self) -> Iterator[tuple[str, tuple[Sample, ...]]]:
        """Yield what stays together, and its domains: pairs, of "AB", or samples, first those of "A", then of "B"."""
        if self.paired:
            yield from (("AB", pair) for pair in zip(self.a, self.b, strict=True))
        else:
            yield from ((domain, (sample,)) for domain in "AB" for sample in self.of(domain))


@dataclass(frozen=True)
class Found:
    """What lies where a configuration points; where there is no test split, the validation split is `test`."""

    train: Split
    test: Split | None = None
    alone: int = 0
    """Files without a partner, left out."""


@dataclass(frozen=True)
class DatasetSplits:
    """A data set: how it was found (the name of a layout), its samples, and a sentence that says so."""

    layout: str
    train: Split
    test: Split
    note: str


def completed(layout: str, found: Found, data: DataConfig) -> DatasetSplits:
    """Make a data set of what was found: hold out test samples if there are none, pair them if `data.paired_test`."""
    if data.paired_test and found.train.paired:
        raise ConfigError(f"data.paired_test is for unpaired data; layout {layout} holds pairs anyway")
    train, test, alone = found.train, found.test, found.alone
    said = "test split: "
    if test is None:
        train, test = hold_out(train, data.test_fraction)
        said = f"no test split: {100 * data.test_fraction:g} % held out by name "
    if data.paired_test and not test.paired:
        test, unmatched = matched(test, data.pair_pattern)
        alone += unmatched
    count = _count(test)
    said += f"({count})" if said.endswith("name ") else count
    note = f"{layout}: {_count(train)}; {said if test.a or test.b else 'no test split'}"
    return DatasetSplits(layout, train, test, note + (f"; {alone} files without a partner left out" if alone else ""))


def _count(split: Split) -> str:
    return f"{len(split.a)} pairs" if split.paired else f"{len(split.a)} A, {len(split.b)} B"


def matched(split: Split, pattern: str | None = None) -> tuple[Split, int]:
    """Pair samples by name, or by the part of it that `pattern` captures; return the pairs and how many are left over.

    Raises ConfigError if there is no pair, or if a pattern makes two names of one domain the same.
    """
    a, b = _by_key(split.a, pattern), _by_key(split.b, pattern)
    both = [key for key in a if key in b]
    if not both:
        first = " and ".join(str(samples[0]) if samples else "nothing" for samples in (split.a, split.b))
        raise ConfigError(
            f"{first}, ...: no test or training pictures of the same name to pair; say what partners' names share "
            "(data.pair_pattern='(.+?)(?:_mask)?' pairs x with x_mask), or list the pairs in a manifest.csv"
        )
    pairs = Split(tuple(a[key] for key in both), tuple(b[key] for key in both), True)
    return pairs, len(split.a) + len(split.b) - 2 * len(both)


def _by_key(samples: Iterable[Sample], pattern: str | None) -> dict[str, Sample]:
    found: dict[str, Sample] = {}
    try:
        if pattern and not re.compile(pattern).groups:
            raise ConfigError(f"data.pair_pattern={pattern}: has no group (...) for what the names of partners share")
    except re.error as error:
        raise ConfigError(f"data.pair_pattern={pattern}: not a regular expression ({error})") from None
    for sample in samples:
        name = unicodedata.normalize("NFC", sample.name)
        match = re.fullmatch(pattern, name, re.IGNORECASE) if pattern else None
        key = match[1].casefold() if match and match[1] else name
        if pattern and key in found:
            raise ConfigError(f"data.pair_pattern takes {found[key]} and {sample} for the same picture")
        found[key] = sample
    return found


def hold_out(split: Split, fraction: float) -> tuple[Split, Split]:
    """Return what to train on and what to test on: of each at least one if there are two, and any are wanted.

    Only its own name decides where a sample goes (of a pair, that of A), so it stays there when others come or go, and
    on every machine.
    """
    a = _held(split.a, fraction)
    b = a if split.paired else _held(split.b, fraction)
    sides = [
        tuple(tuple(samples[i] for i in range(len(samples)) if (i in held) is out) for out in (False, True))
        for samples, held in ((split.a, a), (split.b, b))
    ]
    kept, test = (Split(a, b, split.paired) for a, b in zip(*sides, strict=True))
    return kept, test


def _held(samples: Sequence[Sample], fraction: float) -> set[int]:
    """Return the places of the samples that are held out."""
    if not fraction or len(samples) < 2:
        return set()
    places = [place(sample.name) for sample in samples]
    held = {i for i, own in enumerate(places) if own < fraction} or {places.index(min(places))}
    return held - {places.index(max(places))} if len(held) == len(samples) else held


def place(name: str) -> float:
    """Return a number in [0, 1) that depends on the last part of the name alone, however the file system writes it."""
    own = unicodedata.normalize("NFC", name.rpartition("/")[2])
    digest = hashlib.sha256(own.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
