"""Items: one picture of one world, wherever it lies. Training asks of them only what `Item` promises."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from viceversa.data.decode import ImageError, Picture, open_picture, picture_size


class Item(Protocol):
    """One picture of one world. It is cheap to have, and does nothing before it is opened.

    Background workers get their own copy, so an item is made of plain values. `str(item)` is what messages call it, and
    what broken pictures are counted by: items that break together (the halves of one file) share it.
    """

    @property
    def name(self) -> str:
        """What samples and outputs are called: without suffix, with `/` where it lay in subfolders."""
        ...

    def open(self) -> Picture:
        """Return the decoded picture; raise ImageError, which names the item, if that cannot be done."""
        ...

    def size(self) -> tuple[int, int] | None:
        """Return (width, height) without decoding the picture, or None if that is not known."""
        ...


@dataclass(frozen=True, slots=True)
class FileItem:
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

    def open(self) -> Picture:
        """Decode the file, and take the half; raise ImageError for what cannot be read, or is too narrow to halve."""
        return self.part(open_picture(self.path))

    def part(self, whole: Picture) -> Picture:
        """Return this item's part of its decoded file; a middle column of an odd width belongs to neither half."""
        if self.half is None:
            return whole
        middle = whole.pixels.shape[1] // 2
        if not middle:
            raise ImageError(f"{self}: too narrow to hold two pictures side by side")
        columns = slice(None, middle) if self.half == "left" else slice(-middle, None)
        alpha = None if whole.alpha is None else whole.alpha[:, columns]
        return Picture(whole.pixels[:, columns], alpha, whole.gray)

    def size(self) -> tuple[int, int] | None:
        """Return (width, height) as the file's header says, or None if it cannot be read."""
        whole = picture_size(self.path)
        return whole if whole is None or self.half is None else (whole[0] // 2, whole[1])


def open_each(items: Sequence[Item]) -> list[Picture | ImageError]:
    """Open the items of one draw; where one cannot be opened, its error takes its place.

    Halves of the same file share its decoding.
    """
    opened: list[Picture | ImageError] = []
    wholes: dict[Path, Picture] = {}
    for item in items:
        try:
            if isinstance(item, FileItem) and item.half is not None:
                if item.path not in wholes:
                    wholes[item.path] = open_picture(item.path)
                opened.append(item.part(wholes[item.path]))
            else:
                opened.append(item.open())
        except ImageError as error:
            opened.append(error)
    return opened
