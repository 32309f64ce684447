"""Items: one picture of one world, wherever it lies. Training asks of them only what `Sample` promises."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from viceversa.config import ConfigError, DataConfig
from viceversa.data.image_data import ImageData, ImageError
from viceversa.data.image_io import image_size, read_image


class Sample(Protocol):
    """One picture of one world. It is cheap to have, and does nothing before it is opened.

    Background workers get their own copy, so an item is made of plain values. `str(item)` is what messages call it, and
    what broken pictures are counted by: items that break together (the halves of one file) share it.
    """

    @property
    def name(self) -> str:
        """What samples and outputs are called: without suffix, with `/` where it lay in subfolders."""
        ...

    def open(self) -> ImageData:
        """Return the decoded picture; raise ImageError, which names the item, if that cannot be done."""
        ...

    def size(self) -> tuple[int, int] | None:
        """Return (width, height) without decoding the picture, or None if that is not known."""
        ...


@dataclass(frozen=True, slots=True)
class FileSample:
    """A picture file, or the left or right half of one; `file` is its path within `folder`, with forward slashes.

    All items of a folder share one `folder`: a hundred thousand of them take some 15 MB.
    """

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
        """Return this item's part of its decoded file; a middle column of an odd width belongs to neither half."""
        if self.half is None:
            return whole
        middle = whole.pixels.shape[1] // 2
        if not middle:
            raise ImageError(f"{self}: too narrow to hold two pictures side by side")
        columns = slice(None, middle) if self.half == "left" else slice(-middle, None)
        alpha = None if whole.alpha is None else whole.alpha[:, columns]
        return ImageData(whole.pixels[:, columns], alpha, whole.gray)

    def size(self) -> tuple[int, int] | None:
        """Return (width, height) as the file's header says, or None if it cannot be read."""
        whole = image_size(self.path)
        return whole if whole is None or self.half is None else (whole[0] // 2, whole[1])


def open_each(items: Sequence[Sample]) -> list[ImageData | ImageError]:
    """Open the items of one draw; where one cannot be opened, its error takes its place.

    Halves of the same file share its decoding.
    """
    opened: list[ImageData | ImageError] = []
    wholes: dict[Path, ImageData] = {}
    for item in items:
        try:
            if isinstance(item, FileSample) and item.half is not None:
                if item.path not in wholes:
                    wholes[item.path] = read_image(item.path)
                opened.append(item.part(wholes[item.path]))
            else:
                opened.append(item.open())
        except ImageError as error:
            opened.append(error)
    return opened


@dataclass(frozen=True)
class Split:
    """Items of worlds A and B; `paired`: a[i] and b[i] show the same."""

    a: Sequence[Sample]
    b: Sequence[Sample]
    paired: bool = False


@dataclass(frozen=True)
class Found:
    """What lies where a configuration points: the training pictures, and the test pictures if there is a split."""

    train: Split
    test: Split | None = None
    val: Split | None = None
    """Validation pictures. They stand in for test pictures where there are none, and are left alone otherwise."""
    worlds: tuple[str, str] = ("A", "B")
    """What the note calls the pictures."""
    alone: int = 0
    """Files without a partner, left out."""


@dataclass(frozen=True)
class DatasetSplits:
    """A data set: how it was found (the name of a layout), its items, and a sentence that says so."""

    layout: str
    train: Split
    test: Split
    note: str


def completed(layout: str, found: Found, data: DataConfig) -> DatasetSplits:
    """Make a data set of what was found: hold out test pictures if there are none, pair them if that is asked for.

    Raises ConfigError if `data.paired_test` is set and cannot be done.
    """
    if data.paired_test and found.train.paired:
        raise ConfigError(f"data.paired_test is for unpaired data; layout {layout} holds pairs anyway")
    train, test, alone = found.train, found.test or found.val, found.alone
    if test is None:
        train, test = hold_out(train, data.test_fraction)
    if data.paired_test and not test.paired:
        test, unmatched = matched(test)
        alone += unmatched
    note = f"{layout}: {_count(train, found.worlds)}; {_test_note(test, found, data)}"
    return DatasetSplits(layout, train, test, note + (f"; {alone} files without a partner left out" if alone else ""))


def matched(split: Split) -> tuple[Split, int]:
    """Pair items by name; return the pairs and how many items are left over. ConfigError if there is no pair."""
    a, b = ({unicodedata.normalize("NFC", item.name): item for item in items} for items in (split.a, split.b))
    both = [name for name in a if name in b]
    if not both:
        first = " and ".join(str(items[0]) if items else "nothing" for items in (split.a, split.b))
        raise ConfigError(f"{first}, ...: no test or training pictures of the same name to pair")
    pairs = Split(tuple(a[name] for name in both), tuple(b[name] for name in both), True)
    return pairs, len(split.a) + len(split.b) - 2 * len(both)


def hold_out(split: Split, fraction: float) -> tuple[Split, Split]:
    """Return what to train on and what to test on: of each at least one if there are two, and any are wanted.

    Only its own name decides where a picture goes (of a pair, that of A), so it stays there when others come or go, and
    on every machine.
    """
    a = _held(split.a, fraction)
    b = a if split.paired else _held(split.b, fraction)
    kept, held = (Split(_where(split.a, a, out), _where(split.b, b, out), split.paired) for out in (False, True))
    return kept, held


def _held(items: Sequence[Sample], fraction: float) -> list[bool]:
    if not fraction or len(items) < 2:
        return [False] * len(items)
    places = [place(item.name) for item in items]
    held = [place < fraction for place in places]
    if not any(held):
        held[places.index(min(places))] = True
    if all(held):
        held[places.index(max(places))] = False
    return held


def _where(items: Sequence[Sample], held: list[bool], wanted: bool) -> tuple[Sample, ...]:
    return tuple(item for item, out in zip(items, held, strict=True) if out is wanted)


def place(name: str) -> float:
    """Return a number in [0, 1) that depends on the last part of the name alone, however the file system writes it."""
    own = unicodedata.normalize("NFC", name.rpartition("/")[2])
    digest = hashlib.sha256(own.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _count(split: Split, worlds: tuple[str, str]) -> str:
    if split.paired:
        return f"{len(split.a)} pairs"
    return f"{len(split.a)} {worlds[0]}, {len(split.b)} {worlds[1]}"


def _test_note(test: Split, found: Found, data: DataConfig) -> str:
    """Say where the test pictures come from, and how many they are."""
    count = _count(test, found.worlds)
    if found.test or found.val:
        return f"test split: {count}"
    if not test.a and not test.b:
        return "no test split"
    return f"no test split: {100 * data.test_fraction:g} % held out by name ({count})"
