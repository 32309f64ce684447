"""Writing a data set into a folder: copies, hard links or PNGs, by names that stay inside the folder."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeAlias

from viceversa.data.datasets import Sample, Split
from viceversa.data.image_data import ImageError
from viceversa.data.prepare.encode import Encoded, encode, encode_pair

Splits: TypeAlias = Mapping[str, Split]  # by "train", "val", "test": those that hold pictures
PICTURES = "pictures/{split}/{world}"  # where the pictures of a manifest go


@dataclass(frozen=True)
class Job:
    """A file to write: the picture of one item, or of two side by side. `target` is its path without the suffix."""

    target: str
    items: tuple[Sample, ...]

    def encode(self) -> Encoded:
        """Return what to write; raise ImageError if it cannot be made."""
        return encode(self.items[0]) if len(self.items) == 1 else encode_pair(*self.items)


Jobs: TypeAlias = list[Job]
Track: TypeAlias = Callable[[Jobs, int], Iterable[Job]]


def in_worlds(splits: Splits, pattern: str) -> Jobs:
    """Plan a file for each item; `pattern` says where those of a split and world go, such as `{split}{world}`.

    Both pictures of a pair are called as that of A.
    """
    return [
        Job(f"{pattern.format(split=name, world=world)}/{bare_name(named, name, named_world)}", (item,))
        for name, split in splits.items()
        for world, items, named_world in (("A", split.a, "A"), ("B", split.b, "A" if split.paired else "B"))
        for item, named in zip(items, split.a if split.paired else items, strict=True)
    ]


def side_by_side(splits: Splits) -> Jobs:
    """Plan a file for each pair."""
    return [
        Job(f"{name}/{bare_name(a, name, 'A')}", (a, b))
        for name, split in splits.items()
        for a, b in zip(split.a, split.b, strict=True)
    ]


def bare_name(item: Sample, split: str, world: str) -> str:
    """Return an item's name, without the folders that a manifest of ours puts its pictures in."""
    return item.name.removeprefix(PICTURES.format(split=split, world=world) + "/")


@dataclass
class Writer:
    """Writes into `folder`, with hard links instead of copies if `link`; notes what could not be done, and why."""

    folder: Path
    link: bool
    track: Track
    failed: dict[str, str] = field(default_factory=dict)

    def encoded(self, jobs: Jobs) -> Iterator[tuple[Job, Encoded]]:
        """Yield the jobs with what to write; leave out, and note, what cannot be decoded or joined."""
        for job in self.track(jobs, len(jobs)):
            try:
                yield job, job.encode()
            except ImageError as error:
                self.failed[str(job.items[0])] = str(error)

    def files(self, jobs: Jobs) -> dict[Job, str]:
        """Write a file for each job that can be done, and return where.

        Raises ValueError for two pictures of one name, for names that lead out of the folder, and for links that the
        file system refuses.
        """
        written = {}
        for job, encoded in self.encoded(jobs):
            file = checked_name(job.target) + encoded.suffix
            path = self.folder / file
            if os.path.lexists(path):
                raise ValueError(f"{job.items[0]}: another picture is called {file} already; rename one of the two")
            path.parent.mkdir(parents=True, exist_ok=True)
            self._put(path, encoded.content)
            written[job] = file
        return written

    def _put(self, path: Path, content: bytes | Path) -> None:
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif self.link:
            try:
                os.link(content.resolve(), path)
            except OSError as error:
                if error.errno in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                    raise ValueError(f"{content}: cannot be linked ({error.strerror}); copy, without --link") from None
                raise
        else:
            shutil.copyfile(content, path)


def checked_name(name: str) -> str:
    """Return a path that stays inside its folder and that is found again there, or raise ValueError."""
    parts = PurePosixPath(name).parts
    strange = PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or "\0" in name
    if not parts or strange or any(part.startswith(".") for part in parts):
        raise ValueError(f"{name!r}: no name for a file below the new folder; rename the picture")
    return name
