"""Translating a file, a folder or a glob of pictures into a folder."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from viceversa.config import Direction
from viceversa.data.images import (
    EXTENSIONS,
    ImageError,
    Picture,
    list_images,
    open_picture,
    resize,
    save_picture,
    with_channels,
)
from viceversa.devices import pick_device
from viceversa.translator import Translator, as_picture

Job: TypeAlias = tuple[Path, Path]
Track: TypeAlias = Callable[[Iterable[Job], int], Iterable[Job]]

DEEP = (".tif", ".tiff", ".npy")  # formats of any number of channels


@dataclass
class Outcome:
    """What became of the pictures."""

    direction: Direction = "AtoB"
    written: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    """Outputs that were there before, left as they are."""
    files: int = 0
    """Files written, which are several for a picture with samples or masks."""
    failed: dict[Path, str] = field(default_factory=dict)
    """Inputs that could not be translated, and why."""


@dataclass(frozen=True)
class Wanted:
    """What to make of each picture: its translation, or with `samples` or `walk_to` several, NAME.1.png and so on."""

    save_mask: bool = False
    """Also where a generator with a mask painted, as NAME.mask.png."""
    samples: int | None = None
    """Translations of each picture by a variational generator; of a walk, its steps (8)."""
    walk_to: Path | None = None
    """Walk from the picture's code to the code of this one."""
    seed: int | None = None
    """Another seed (than 0) draws other samples."""
    size: int | None = None
    """Bring the short side of pictures to so many pixels first."""

    def files(self, output: Path) -> list[Path]:
        """Return what is written for a picture whose translation would go to `output`."""
        count = self.samples or (8 if self.walk_to else 0)
        names = [f"{output.stem}.{number}.png" for number in range(1, count + 1)] or [output.name]
        return [output.with_name(name) for name in names + [f"{output.stem}.mask.png"] * self.save_mask]


def translate_pictures(
    model: Path,
    sources: str | Sequence[str],
    target: Path,
    direction: Direction | None = None,
    *,
    wanted: Wanted = Wanted(),
    raw: bool = False,
    best: bool = False,
    device: str = "auto",
    overwrite: bool = False,
    track: Track = lambda jobs, total: jobs,
) -> Outcome:
    """Translate pictures, folders or globs, and return how it went; `track` may show the progress.

    A picture that cannot be read is noted and the others are done. Raises FileNotFoundError when there is nothing to
    translate, and ValueError, with the remedy, for what cannot be done at all.
    """
    sources = [sources] if isinstance(sources, str) else sources
    _refuse(
        len(sources) > 1 and target.suffix.lower() in EXTENSIONS,
        f"{target}: is the name of one picture, and there are {len(sources)} to translate; give a folder",
    )
    jobs = [job for source in sources for job in plan(source, target)]
    _check(wanted, jobs)
    end = open_picture(wanted.walk_to) if wanted.walk_to else None
    translator = Translator.load(model, direction, raw=raw, best=best, device=pick_device(device))
    if wanted.save_mask and not translator.has_mask:
        raise ValueError(f"{model}: has no attention mask; train with generator.mask=true for --save-mask")
    if translator.card.out_channels not in (1, 3, 4):
        jobs = [
            (file, output if output.suffix.lower() in DEEP else output.with_suffix(".tiff")) for file, output in jobs
        ]
    outcome = Outcome(translator.card.direction)
    for file, output in track(jobs, len(jobs)):
        files = wanted.files(output)
        todo = [path for path in files if overwrite or not path.exists()]
        if not todo:
            outcome.kept.append(output)
            continue
        try:
            results = _results(translator, at_size(open_picture(file), wanted.size), wanted, end)
            for path, result in zip(files, results, strict=True):
                if path in todo:
                    save_picture(path, result.pixels, result.alpha, result.gray)
                    outcome.files += 1
        except ImageError as error:
            outcome.failed[file] = str(error).removeprefix(f"{file}: ")
            continue
        outcome.written.append(output)
    return outcome


def _check(wanted: Wanted, jobs: list[Job]) -> None:
    """Raise ValueError, with the remedy, for what does not go together."""
    walks = wanted.walk_to is not None
    _refuse(walks and len(jobs) > 1, f"{wanted.walk_to}: a walk to it starts from one picture, not from {len(jobs)}")
    _refuse(walks and wanted.samples == 1, "a walk has two ends, so --samples must be 2 or more")
    draws = wanted.samples is not None and not walks
    _refuse(wanted.seed is not None and not draws, "--seed goes with --samples; nothing else is drawn")
    path, times = Counter(path for _, output in jobs for path in wanted.files(output)).most_common(1)[0]
    _refuse(times > 1, f"{path}: would be written for several pictures; rename one of them")


def _results(translator: Translator, picture: Picture, wanted: Wanted, end: Picture | None) -> list[Picture]:
    """Return the pictures for `Wanted.files`, in their order; a walk goes to the picture `end`."""
    if end is not None:
        results = [as_picture(image) for image in translator.interpolate(picture, end, wanted.samples or 8)]
    elif wanted.samples is not None:
        results = [as_picture(image) for image in translator.samples(picture, wanted.samples, wanted.seed or 0)]
    else:
        results = [translator.picture(picture)]
    return [*results, Picture(translator.mask(picture), None, True)] if wanted.save_mask else results


def at_size(picture: Picture, size: int | None) -> Picture:
    """Return the picture with `size` pixels at its short side, antialiased; as it is for None."""
    if size is None:
        return picture
    height, width = picture.pixels.shape[:2]
    scale = size / min(height, width)
    shape = round(height * scale), round(width * scale)
    if picture.alpha is None:
        return Picture(resize(picture.pixels, shape), None, picture.gray)
    small = resize(with_channels(picture, 4), shape)  # together, so that colours weigh as much as they are seen
    alpha = small[:, :, 3] if small.dtype == np.uint8 else np.rint(small[:, :, 3] * 255)
    return Picture(small[:, :, :3], alpha.astype(np.uint8), picture.gray)


def plan(source: str, target: Path) -> list[Job]:
    """Return (input, output) for a file, a folder (with its subfolders) or a glob.

    A single file goes to `target` when that has a picture's suffix, else into the folder `target`. Outputs keep their
    input's place below the folder, or below the part of the glob before its first wildcard.
    """
    path = Path(source)
    if path.is_file():
        single = target.suffix.lower() in EXTENSIONS and not target.is_dir()
        return _checked([(path, target if single else target / path.name)])
    if path.is_dir():
        _refuse(path.resolve() == target.resolve(), f"{target}: is the input itself; give another folder")
        files, root = list_images(path), path
    else:
        files, root = sorted(_matches(source)), Path(os.path.dirname(glob.escape(source).partition("[")[0]))
    inside = target.resolve()
    if root.resolve() in inside.parents:  # what an earlier call wrote below the input folder is no input
        files = [file for file in files if inside not in file.resolve().parents]
    if not files:
        what = "matches no pictures" if glob.has_magic(source) else "no pictures in it" if path.is_dir() else ""
        raise FileNotFoundError(f"{source}: {what or 'there is no such file or folder'}")
    _refuse(
        target.is_file() or target.suffix.lower() in EXTENSIONS,
        f"{target}: is the name of one picture, and there are {len(files)} to translate; give a folder",
    )
    return _checked([(file, target / file.relative_to(root)) for file in files])


def _matches(pattern: str) -> Iterator[Path]:
    for path in map(Path, glob.glob(pattern, recursive=True)):
        if path.suffix.lower() in EXTENSIONS and path.is_file():
            yield path


def _checked(jobs: list[Job]) -> list[Job]:
    for file, output in jobs:
        _refuse(file.suffix.lower() not in EXTENSIONS, f"{file}: not a picture, by its suffix")
        _refuse(output.suffix.lower() not in EXTENSIONS, f"{output}: not a picture's suffix; name a .png file")
        _refuse(file.resolve() == output.resolve(), f"{output}: is the input itself; give another folder or name")
    return jobs


def _refuse(wrong: bool, message: str) -> None:
    if wrong:
        raise ValueError(message)
