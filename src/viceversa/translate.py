"""Translating a file, a folder or a glob of pictures into a folder."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from viceversa.config import Direction
from viceversa.data.images import EXTENSIONS, ImageError, list_images, open_picture, save_picture
from viceversa.devices import pick_device
from viceversa.translator import Translator

Job: TypeAlias = tuple[Path, Path]
Track: TypeAlias = Callable[[Iterable[Job], int], Iterable[Job]]


@dataclass
class Outcome:
    """What became of the pictures."""

    direction: Direction = "AtoB"
    written: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    """Outputs that were there before, left as they are."""
    failed: dict[Path, str] = field(default_factory=dict)
    """Inputs that could not be translated, and why."""


def translate_pictures(
    model: Path,
    source: str,
    target: Path,
    direction: Direction | None = None,
    *,
    raw: bool = False,
    device: str = "auto",
    overwrite: bool = False,
    save_mask: bool = False,
    track: Track = lambda jobs, total: jobs,
) -> Outcome:
    """Translate a picture, a folder or a glob, and return how it went; `track` may show the progress.

    A picture that cannot be read is noted and the others are done. Raises FileNotFoundError when there is nothing to
    translate, and ValueError, with the remedy, for what cannot be done at all.
    """
    jobs = plan(source, target)
    translator = Translator.load(model, direction, raw=raw, device=pick_device(device))
    if save_mask and not translator.has_mask:
        raise ValueError(f"{model}: has no attention mask; train with generator.mask=true for --save-mask")
    masks = Counter(mask_path(output) for _, output in jobs)
    if save_mask and len(masks) < len(jobs):
        raise ValueError(f"{masks.most_common(1)[0][0]}: would be the mask of several pictures; rename one of them")
    outcome = Outcome(translator.card.direction)
    for file, output in track(jobs, len(jobs)):
        try:
            _translate(translator, file, output, outcome, overwrite, save_mask)
        except ImageError as error:
            outcome.failed[file] = str(error).removeprefix(f"{file}: ")
    return outcome


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


def mask_path(output: Path) -> Path:
    """Return where the mask of an output goes."""
    return output.with_name(f"{output.stem}.mask.png")


def _matches(pattern: str) -> Iterator[Path]:
    for path in map(Path, glob.glob(pattern, recursive=True)):
        if path.suffix.lower() in EXTENSIONS and path.is_file():
            yield path


def _checked(jobs: list[Job]) -> list[Job]:
    for file, output in jobs:
        _refuse(output.suffix.lower() not in EXTENSIONS, f"{output}: not a picture's suffix; name a .png file")
        _refuse(file.resolve() == output.resolve(), f"{output}: is the input itself; give another folder or name")
    return jobs


def _refuse(wrong: bool, message: str) -> None:
    if wrong:
        raise ValueError(message)


def _translate(
    translator: Translator, file: Path, output: Path, outcome: Outcome, overwrite: bool, save_mask: bool
) -> None:
    """Write the translation of one file, and its mask if wanted, unless they are there."""
    mask = mask_path(output)
    todo = [path for path in ([output, mask] if save_mask else [output]) if overwrite or not path.exists()]
    if not todo:
        outcome.kept.append(output)
        return
    picture = open_picture(file)
    if output in todo:
        result = translator.picture(picture)
        save_picture(output, result.pixels, result.alpha, result.gray)
    if mask in todo:
        save_picture(mask, translator.mask(picture))
    outcome.written.append(output)
