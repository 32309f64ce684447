"""Translating a file, a folder or a glob of pictures into a folder."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from viceversa.data.images import EXTENSIONS, ImageError, list_images, open_picture, save_picture
from viceversa.translator import Translator


@dataclass
class Outcome:
    """What became of the pictures."""

    written: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    """Outputs that were there before, left as they are."""
    failed: dict[Path, str] = field(default_factory=dict)
    """Inputs that could not be translated, and why."""


def plan(source: str, target: Path) -> list[tuple[Path, Path]]:
    """Return (input, output) for a file, a folder (with its subfolders) or a glob.

    A single file goes to `target` when that has a picture's suffix, else into the folder `target`. Outputs keep their
    input's name, and a suffix that can be written. Raises FileNotFoundError when there is nothing to translate, and
    ValueError when two inputs would become the same output.
    """
    path = Path(source)
    if path.is_file():
        return [(path, target if target.suffix.lower() in EXTENSIONS else target / path.name)]
    if path.is_dir():
        files, root = list_images(path), path
    else:
        files = sorted(p for p in map(Path, glob.glob(source, recursive=True)) if p.suffix.lower() in EXTENSIONS)
        root = Path(glob.escape(source).split("[")[0]).parent if files else path
    if not files:
        raise FileNotFoundError(f"{source}: no pictures here ({', '.join(sorted(EXTENSIONS))})")
    if target.is_file() or target.suffix.lower() in EXTENSIONS:
        raise ValueError(f"{target}: is one file, but there are several inputs; give a folder")
    return [(file, target / file.relative_to(root)) for file in files]


def translate_all(
    translator: Translator,
    jobs: list[tuple[Path, Path]],
    outcome: Outcome,
    *,
    overwrite: bool = False,
    save_mask: bool = False,
) -> Iterator[Path]:
    """Translate each job's input to its output; yield every input when it is done, and note in `outcome` how it went.

    A picture that cannot be read is noted and the others are done. Raises ValueError for `save_mask` without a mask.
    """
    if save_mask and not translator.has_mask:
        raise ValueError("this generator has no attention mask; train with generator.mask=true for --save-mask")
    for source, target in jobs:
        if target.exists() and not overwrite:
            outcome.kept.append(target)
        else:
            try:
                picture = open_picture(source)
                result = translator.picture(picture)
            except ImageError as error:
                outcome.failed[source] = str(error).removeprefix(f"{source}: ")
            else:
                save_picture(target, result.pixels, result.alpha, result.gray)
                if save_mask:
                    save_picture(target.with_name(f"{target.stem}.mask.png"), translator.mask(picture))
                outcome.written.append(target)
        yield source
