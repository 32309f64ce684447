"""Which pictures to translate, and where each goes."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from viceversa.paths import EXTENSIONS, list_images

Job: TypeAlias = tuple[Path, Path]
"""A picture, and what its translation is to be called."""


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
        refuse(path.resolve() == target.resolve(), f"{target}: is the input itself; give another folder")
        files, root = list_images(path), path
    else:
        files, root = sorted(_matches(source)), Path(os.path.dirname(glob.escape(source).partition("[")[0]))
    inside = target.resolve()
    if root.resolve() in inside.parents:  # what an earlier call wrote below the input folder is no input
        files = [file for file in files if inside not in file.resolve().parents]
    if not files:
        what = "matches no pictures" if glob.has_magic(source) else "no pictures in it" if path.is_dir() else ""
        raise FileNotFoundError(f"{source}: {what or 'there is no such file or folder'}")
    refuse(
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
        refuse(file.suffix.lower() not in EXTENSIONS, f"{file}: not a picture, by its suffix")
        refuse(output.suffix.lower() not in EXTENSIONS, f"{output}: not a picture's suffix; name a .png file")
        refuse(file.resolve() == output.resolve(), f"{output}: is the input itself; give another folder or name")
    return jobs


def refuse(wrong: bool, message: str) -> None:
    """Raise ValueError with the message if something is wrong."""
    if wrong:
        raise ValueError(message)
