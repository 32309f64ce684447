"""From any layout to any other. Files are copied byte for byte; only cutting and joining makes new ones, losslessly."""

from __future__ import annotations

import csv
import dataclasses
import os
import shutil
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from viceversa.config import ConfigError, DataConfig
from viceversa.data.archives import safe_path
from viceversa.data.datasets import FileSample, Sample, Split, Splits, matched
from viceversa.data.image_data import ImageError, with_channels
from viceversa.data.image_io import write_image
from viceversa.data.layouts import find
from viceversa.files import Track, replacing, replacing_folder

LAYOUTS = {"trainA": "{split}{domain}", "aligned": "{split}", "csv": "{split}{domain}"}
"""The layouts that can be written, and the folders of their images."""
MANIFEST = "manifest.csv"


@dataclass(frozen=True)
class Outcome:
    """How it went: what was written, which samples had no partner, and which failed and why."""

    counts: str
    alone: list[str]
    failed: dict[str, str]


def convert(
    data: DataConfig, out: Path, to: str, *, overwrite: bool = False, track: Track = lambda jobs, total: jobs
) -> Outcome:
    """Write a data set into the folder `out` in the layout `to`, one of LAYOUTS: whole or not at all.

    For side-by-side files, unpaired domains are paired by name. Raises ConfigError or FileNotFoundError for what cannot
    be read, FileExistsError for an `out` that is in the way, and ValueError for names that cannot be used.
    """
    for place in filter(None, (data.root, data.a, data.b)):
        source, target = Path(place).expanduser().resolve(), out.resolve()
        if source.is_relative_to(target) or target.is_relative_to(source):
            raise FileExistsError(f"{out}: lies within {place}, or holds it; choose a folder elsewhere")
    unpaired = dataclasses.replace(data, layout="unpaired") if data.layout == "paired" else data
    splits, alone, files, failed = find(unpaired)[1].splits(), list[str](), dict[Sample, str](), dict[str, str]()
    if to == "aligned" or data.layout == "paired":
        splits = {name: _paired(split, data.pair_pattern, alone) for name, split in splits.items()}
    jobs = list(_jobs(splits, LAYOUTS[to]))
    with replacing_folder(out, overwrite=overwrite) as folder:
        for name, samples in track(jobs, len(jobs)):
            try:
                files[samples[0]] = _write(folder, name, samples)
            except ImageError as error:
                failed[str(samples[0])] = str(error)
        if not files:
            raise ValueError(f"nothing could be written: {next(iter(failed.values()))}")
        if to == "csv":
            write_manifest(folder / MANIFEST, splits, files)
    return Outcome(counted(splits, failed), alone, failed)


def counted(splits: Splits, failed: Container[str] = ()) -> str:
    """Say how many images the splits hold, without those that failed."""
    counts = []
    for name, split in splits.items():
        a, b = ([str(sample) not in failed for sample in samples] for samples in (split.a, split.b))
        both = sum(map(all, zip(a, b, strict=True))) if split.paired else 0
        counts.append(f"{name} {both} pairs" if split.paired else f"{name} {sum(a)} A, {sum(b)} B")
    return "; ".join(counts)


def _paired(split: Split, pattern: str | None, alone: list[str]) -> Split:
    """Pair by name what is not paired, and note what has no partner."""
    if split.paired:
        return split
    pairs, _ = matched(split, pattern)
    both = {*pairs.a, *pairs.b}
    alone += [str(sample) for sample in (*split.a, *split.b) if sample not in both]
    return pairs


def _jobs(splits: Splits, pattern: str) -> Iterator[tuple[str, tuple[Sample, ...]]]:
    """Yield the files to write, without suffix, and what each shows side by side; partners have one name, that of A."""
    for name, split in splits.items():
        for domain, samples in split.units():
            bare = samples[0].name.removeprefix(f"{name}{domain[0]}/")  # as a manifest of ours calls it
            if "{domain}" in pattern:
                for own, sample in zip(domain, samples, strict=True):
                    yield f"{pattern.format(split=name, domain=own)}/{bare}", (sample,)
            else:
                yield f"{name}/{bare}", samples


def _write(folder: Path, name: str, samples: tuple[Sample, ...]) -> str:
    """Write one file, and return its path in the folder: a copy of that the samples come from, or else a PNG.

    Raises ImageError if they cannot be read, or would not be the same in a PNG; ValueError for impossible names.
    """
    files = [sample for sample in samples if isinstance(sample, FileSample)]
    halves = tuple(file.half for file in files)
    copied = len({file.path for file in files}) == 1 and len(files) == len(samples)
    copied = copied and halves in ((None,), ("left", "right"))
    written = name + (files[0].path.suffix if copied else ".png")
    path = folder / safe_path(written)
    if os.path.lexists(path) or any(part.startswith(".") for part in Path(written).parts):
        raise ValueError(f"{samples[0]}: cannot be called {written}: taken, or hidden; rename the image")
    path.parent.mkdir(parents=True, exist_ok=True)
    if copied:
        shutil.copyfile(files[0].path, path)
    else:
        _write_joined(path, samples)
    return written


def _write_joined(path: Path, samples: tuple[Sample, ...]) -> None:
    """Write an image, or two side by side, as PNG; raise ImageError, which says what to do, if that changes them."""
    images, names = [sample.open() for sample in samples], " and ".join(map(str, samples))
    sizes = [f"{image.pixels.shape[1]} x {image.pixels.shape[0]}" for image in images]
    if len({*sizes}) > 1:
        raise ImageError(
            f"{names}: differ in size ({', '.join(sizes)}): resize them first, or keep them in two folders"
        )
    gray, clear = all(image.gray for image in images), any(image.alpha is not None for image in images)
    deep = [image.depth == 16 and gray and not clear for image in images if image.pixels.dtype != np.uint8]
    if deep and not (all(deep) and len(deep) == len(images)):
        raise ImageError(f"{names}: only images of 8 bits, or of 16 bits of gray, can be cut or joined")
    pixels = [with_channels(image, 4 if clear else 1 if gray else 3) for image in images]
    write_image(path, np.concatenate(pixels, axis=1))


def write_manifest(path: Path, splits: Splits, files: Mapping[Sample, str]) -> None:
    """Write a CSV of where samples lie. Names that are not UTF-8 are written as the bytes that they are."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("a", "b", "split"), *_rows(splits, files)])


def _rows(splits: Splits, files: Mapping[Sample, str]) -> Iterator[tuple[str, str, str]]:
    """Yield a, b and split; "" where there is none. A pair of which one could not be written is left out."""
    for name, split in splits.items():
        for domain, samples in split.units():
            row = {own: files[sample] for own, sample in zip(domain, samples, strict=True) if sample in files}
            if len(row) == len(domain):
                yield row.get("A", ""), row.get("B", ""), name


def relative_files(splits: Splits, root: Path) -> dict[Sample, str]:
    """Return where the files of splits lie within a folder; raise ConfigError for what is no file of its own there."""
    files: dict[Sample, str] = {}
    for sample in (sample for split in splits.values() for sample in (*split.a, *split.b)):
        inside = os.path.relpath(str(sample), root).replace(os.sep, "/")
        if not isinstance(sample, FileSample) or sample.half or inside.startswith("../"):
            raise ConfigError(
                f"{sample}: no file of one image below {root}, which is what a manifest lists; "
                "first write them as files: viceversa data convert ROOT OUT --to csv"
            )
        files[sample] = inside
    return files
