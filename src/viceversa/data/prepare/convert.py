"""From any layout to any other. Files are copied byte for byte; only cutting and joining makes new ones, losslessly."""

from __future__ import annotations

import csv
import dataclasses
import errno
import json
import os
import shutil
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeAlias

import numpy as np

from viceversa.config import ConfigError, DataConfig
from viceversa.data.datasets import FileSample, Found, Sample, Split, matched
from viceversa.data.image_data import ImageData, ImageError, with_channels
from viceversa.data.image_io import open_pil, write_image
from viceversa.data.layouts import find
from viceversa.data.shards import ShardSample
from viceversa.files import Track, replacing, replacing_folder

Splits: TypeAlias = Mapping[str, Split]  # by "train", "val", "test": those that hold images
OutputFile: TypeAlias = tuple[str, tuple[Sample, ...]]  # path without suffix, and what it shows side by side

IMAGES = "pictures/{split}/{domain}"  # where the images of a manifest go
LAYOUTS = {"trainA": "{split}{domain}", "train/A": "{split}/{domain}", "paired": "{split}/{domain}"}
LAYOUTS |= {"aligned": "{split}", "csv": IMAGES, "jsonl": IMAGES}
"""The layouts that can be written, and where their images go."""
PAIRS = ("paired", "aligned")  # hold nothing but pairs
MANIFEST = "manifest.csv"  # where a data set's own list is looked for


@dataclass(frozen=True)
class Outcome:
    """How it went: what was written, which samples had no partner, and which failed and why."""

    counts: str
    alone: list[str]
    failed: dict[str, str]


def convert(
    data: DataConfig,
    out: Path,
    to: str,
    *,
    link: bool = False,
    overwrite: bool = False,
    track: Track = lambda jobs, total: jobs,
) -> Outcome:
    """Write a data set into the folder `out` in the layout `to`, one of LAYOUTS: whole or not at all.

    Where the layout takes pairs alone, unpaired domains are paired by name. With `link` files become hard links instead
    of copies. Raises ConfigError or FileNotFoundError for what cannot be read, FileExistsError for an `out` that is in
    the way, and ValueError for names that cannot be used.
    """
    unpaired = dataclasses.replace(data, layout="unpaired") if data.layout == "paired" else data
    splits = splits_of(find(unpaired)[1])
    alone: list[str] = []
    if to in PAIRS or data.layout == "paired":
        splits = {name: _pair(split, data.pair_pattern, alone) for name, split in splits.items()}
    failed = write_splits(splits, data, out, to, link=link, overwrite=overwrite, track=track)
    return Outcome(counted(splits, failed), alone, failed)


def splits_of(found: Found) -> Splits:
    """Return what was found, by split."""
    splits = {"train": found.train, "val": found.val, "test": found.test}
    return {name: split for name, split in splits.items() if split}


def counted(splits: Splits, failed: Container[str] = ()) -> str:
    """Say how many images the splits hold, without those that failed."""
    counts = []
    for name, split in splits.items():
        a, b = ([str(sample) not in failed for sample in samples] for samples in (split.a, split.b))
        both = sum(map(all, zip(a, b, strict=True))) if split.paired else 0
        counts.append(f"{name} {both} pairs" if split.paired else f"{name} {sum(a)} A, {sum(b)} B")
    return "; ".join(counts)


def write_splits(
    splits: Splits, data: DataConfig, out: Path, to: str, *, link: bool, overwrite: bool, track: Track
) -> dict[str, str]:
    """Write splits into `out`, whole or not at all; return what failed and why. `data` is where they come from."""
    for place in filter(None, (data.root, data.a, data.b)):
        source, target = Path(place).expanduser().resolve(), out.resolve()
        if source.is_relative_to(target) or target.is_relative_to(source):
            raise FileExistsError(f"{out}: lies within {place}, or holds it; choose a folder elsewhere")
    jobs, files, failed = _jobs(splits, LAYOUTS[to]), dict[Sample, str](), dict[str, str]()
    with replacing_folder(out, overwrite=overwrite) as folder:
        for name, samples in track(jobs, len(jobs)):
            try:
                files[samples[0]] = _write(folder, checked_name(name), samples, link)
            except ImageError as error:
                failed[str(samples[0])] = str(error)
        if not files:
            raise ValueError(f"nothing could be written: {next(iter(failed.values()))}")
        if LAYOUTS[to] == IMAGES:
            write_manifest(folder / f"manifest.{to}", splits, files)
    return failed


def _jobs(splits: Splits, pattern: str) -> list[OutputFile]:
    """Plan a file for each sample, or for each pair if `pattern` has no {domain}. Pairs are called as their A is."""
    jobs: list[OutputFile] = []
    for name, split in splits.items():
        if "{domain}" not in pattern:
            jobs += [(f"{name}/{bare_name(a, name, 'A')}", (a, b)) for a, b in zip(split.a, split.b, strict=True)]
            continue
        for domain, samples, named in (("A", split.a, "A"), ("B", split.b, "A" if split.paired else "B")):
            folder, names = pattern.format(split=name, domain=domain), split.a if split.paired else samples
            jobs += [(f"{folder}/{bare_name(n, name, named)}", (s,)) for s, n in zip(samples, names, strict=True)]
    return jobs


def bare_name(sample: Sample, split: str, domain: str) -> str:
    """Return a sample's name, without the folders that a manifest of ours puts its images in."""
    return sample.name.removeprefix(IMAGES.format(split=split, domain=domain) + "/")


def checked_name(name: str) -> str:
    """Return a path that stays inside its folder and that is found again there, or raise ValueError."""
    parts = PurePosixPath(name).parts
    strange = PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or "\0" in name
    if not parts or strange or any(part.startswith(".") for part in parts):
        raise ValueError(f"{name!r}: no name for a file below the new folder; rename the image")
    return name


def _write(folder: Path, name: str, samples: tuple[Sample, ...], link: bool) -> str:
    """Write one file, and return its path in the folder."""
    suffix, write = _source(samples, link)
    path = folder / (name + suffix)
    if os.path.lexists(path):
        raise ValueError(f"{samples[0]}: another image is called {name}{suffix} already; rename one of the two")
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path)
    return name + suffix


def _source(samples: tuple[Sample, ...], link: bool) -> tuple[str, Callable[[Path], object]]:
    """Return the suffix of a file and what writes it: the very file that the samples come from, or else a PNG.

    Raises ImageError if they cannot be read, or would not be the same in a PNG.
    """
    files = [sample for sample in samples if isinstance(sample, FileSample)]
    if isinstance(samples[0], ShardSample) and len(samples) == 1:
        content = samples[0].content()
        return _suffix_of(content), lambda path: path.write_bytes(content)
    one = len(files) == len(samples) and len({file.path for file in files}) == 1
    if one and tuple(file.half for file in files) in ((None,), ("left", "right")):
        return files[0].path.suffix, lambda path: _copy(files[0].path, path, link)
    image = _joined(samples)
    return ".png", lambda path: write_image(path, image.pixels, image.alpha, image.gray)


def _suffix_of(content: bytes) -> str:
    """Return the suffix for an encoded image: .png, if it is of no format that is read."""
    if content.startswith(b"\x93NUMPY"):
        return ".npy"
    try:
        name = str(open_pil(BytesIO(content), "").format)
    except Exception:  # as for any damaged file
        return ".png"
    return {"JPEG": ".jpg", "MPO": ".jpg", "JPEG2000": ".jp2"}.get(name, f".{name.lower()}")


def _copy(source: Path, target: Path, link: bool) -> None:
    if not link:
        shutil.copyfile(source, target)
        return
    try:
        os.link(source.resolve(), target)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise ValueError(f"{source}: cannot be linked ({error.strerror}); copy, without --link") from None
        raise


def _joined(samples: tuple[Sample, ...]) -> ImageData:
    """Return an image, or two side by side; raise ImageError, which says what to do, if that would change them."""
    images, names = [sample.open() for sample in samples], " and ".join(map(str, samples))
    sizes = [f"{image.pixels.shape[1]} x {image.pixels.shape[0]}" for image in images]
    if len({*sizes}) > 1:
        raise ImageError(
            f"{names}: differ in size ({', '.join(sizes)}): resize them first, or keep them in two folders"
        )
    if len({image.pixels.dtype for image in images}) > 1:
        raise ImageError(f"{names}: one has 8 bits a channel, the other more: keep them in two folders")
    gray = all(image.pixels.shape[2] == 1 for image in images)
    if images[0].pixels.dtype != np.uint8 and not (gray and all(i.depth == 16 and i.alpha is None for i in images)):
        raise ImageError(f"{names}: of more than 8 bits, only 16 bits of gray can be cut or joined")
    opaque = [with_channels(dataclasses.replace(image, alpha=None), 1 if gray else 3) for image in images]
    alpha = None
    if any(image.alpha is not None for image in images):
        full = np.full(opaque[0].shape[:2], 255, np.uint8)
        alpha = np.concatenate([full if image.alpha is None else image.alpha for image in images], axis=1)
    return ImageData(np.concatenate(opaque, axis=1), alpha, gray)


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
    """Yield a, b and split; "" where there is none. A pair of which one could not be written is left out."""
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


def _pair(split: Split, pattern: str | None, alone: list[str]) -> Split:
    """Pair by name what is not paired, and note what has no partner."""
    if split.paired:
        return split
    pairs, _ = matched(split, pattern)
    paired = {*pairs.a, *pairs.b}
    alone += [str(sample) for sample in (*split.a, *split.b) if sample not in paired]
    return pairs
