"""Writing a data set into a folder: copies, hard links or PNGs, by names that stay inside it; and manifests."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeAlias

from viceversa.config import ConfigError
from viceversa.data.datasets import FileSample, Sample, Split
from viceversa.data.image_data import ImageError
from viceversa.data.prepare.encode import Encoded, encode, encode_pair
from viceversa.files import replacing

Splits: TypeAlias = Mapping[str, Split]  # by "train", "val", "test": those that hold images
IMAGES = "pictures/{split}/{domain}"  # where the images of a manifest go
MANIFEST = "manifest.csv"  # where a data set's own list is looked for


@dataclass(frozen=True)
class Job:
    """A file to write: the image of one sample, or of two side by side. `target` is its path without the suffix."""

    target: str
    items: tuple[Sample, ...]

    def encode(self) -> Encoded:
        """Return what to write; raise ImageError if it cannot be made."""
        return encode(self.items[0]) if len(self.items) == 1 else encode_pair(*self.items)


Jobs: TypeAlias = list[Job]
Track: TypeAlias = Callable[[Jobs, int], Iterable[Job]]


def in_domains(splits: Splits, pattern: str) -> Jobs:
    """Plan a file for each sample; `pattern` says where those of a split and domain go, such as `{split}{domain}`.

    Both images of a pair are called as that of A.
    """
    return [
        Job(f"{pattern.format(split=name, domain=domain)}/{bare_name(named, name, named_domain)}", (sample,))
        for name, split in splits.items()
        for domain, samples, named_domain in (("A", split.a, "A"), ("B", split.b, "A" if split.paired else "B"))
        for sample, named in zip(samples, split.a if split.paired else samples, strict=True)
    ]


def side_by_side(splits: Splits) -> Jobs:
    """Plan a file for each pair."""
    return [
        Job(f"{name}/{bare_name(a, name, 'A')}", (a, b))
        for name, split in splits.items()
        for a, b in zip(split.a, split.b, strict=True)
    ]


def bare_name(sample: Sample, split: str, domain: str) -> str:
    """Return a sample's name, without the folders that a manifest of ours puts its images in."""
    return sample.name.removeprefix(IMAGES.format(split=split, domain=domain) + "/")


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

        Raises ValueError for two images of one name, for names that lead out of the folder, and for links that the file
        system refuses.
        """
        written = {}
        for job, encoded in self.encoded(jobs):
            file = checked_name(job.target) + encoded.suffix
            path = self.folder / file
            if os.path.lexists(path):
                raise ValueError(f"{job.items[0]}: another image is called {file} already; rename one of the two")
            path.parent.mkdir(parents=True, exist_ok=True)
            self._put(path, encoded.content)
            written[job] = file
        return written

    def with_manifest(self, splits: Splits, name: str) -> None:
        """Write the images, and a manifest beside them. A pair of which one could not be written is left out."""
        files = {job.items[0]: file for job, file in self.files(in_domains(splits, IMAGES)).items()}
        write_manifest(self.folder / name, splits, files)

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
        raise ValueError(f"{name!r}: no name for a file below the new folder; rename the image")
    return name


def list_in_place(splits: Splits, root: Path) -> None:
    """Write a manifest of images where they are into their root, with paths relative to it.

    Raises ConfigError for what is no file of its own, or lies outside.
    """
    samples = [sample for split in splits.values() for sample in (*split.a, *split.b)]
    write_manifest(root / MANIFEST, splits, {sample: _relative(sample, root) for sample in samples})


def write_manifest(path: Path, splits: Splits, files: Mapping[Sample, str]) -> None:
    """Write CSV or JSON lines, as the suffix says. Names that are not UTF-8 are written as the bytes that they are."""
    header = ("a", "b", "split")
    with replacing(path) as partial, partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        if path.suffix == ".jsonl":
            file.writelines(json.dumps(dict(zip(header, row, strict=True))) + "\n" for row in _rows(splits, files))
        else:
            csv.writer(file, lineterminator="\n").writerows([header, *_rows(splits, files)])


def _rows(splits: Splits, files: Mapping[Sample, str]) -> Iterator[tuple[str, str, str]]:
    """Yield a, b and split; "" where there is none."""
    for name, split in splits.items():
        if split.paired:
            both = ((files.get(a), files.get(b)) for a, b in zip(split.a, split.b, strict=True))
            yield from ((a, b, name) for a, b in both if a and b)
        else:
            yield from ((files[sample], "", name) for sample in split.a if sample in files)
            yield from (("", files[sample], name) for sample in split.b if sample in files)


def _relative(sample: Sample, root: Path) -> str:
    if not isinstance(sample, FileSample) or sample.half:
        raise ConfigError(f"{sample}: a manifest lists files of one image each; write a new folder: --out FOLDER")
    path = os.path.relpath(sample.path, root).replace(os.sep, "/")
    if path.startswith("../"):
        raise ConfigError(f"{sample}: lies outside {root}; write a new folder: --out FOLDER")
    return path
