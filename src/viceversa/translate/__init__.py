"""`viceversa translate`: a model, and images in files, folders and globs.

Mistakes that can be found without the model are reported before torch is imported, which takes seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from viceversa.config import Direction
from viceversa.files import Track
from viceversa.options import TranslateOptions
from viceversa.paths import weights_file
from viceversa.translate.files import check_writable, masks_for, plan, refuse

__all__ = ["TranslateOptions", "TranslateResult", "translate_images"]


@dataclass
class TranslateResult:
    """What became of the images."""

    direction: Direction
    written: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    """Outputs that existed and were left as they are."""
    files: int = 0
    """Files written: several for an image with samples or a mask."""
    failed: dict[Path, str] = field(default_factory=dict)
    """Inputs that could not be translated, and why."""
    backend: str = ""
    """Which backend computed, and how exact it is; empty for eager, asked for."""
    flicker: list[str] = field(default_factory=list)
    """A line for each clip: how much it flickers."""


def translate_images(
    model: Path,
    inputs: str | Sequence[str],
    output: Path,
    options: TranslateOptions = TranslateOptions(),
    track: Track = lambda images, total: images,
) -> TranslateResult:
    """Translate images, folders or globs with a run's folder or a weights file, and return what became of them.

    An image that cannot be read is noted, and the others are done. Under torchrun each process does its share. Raises
    FileNotFoundError when there is nothing to translate, and ValueError, with the remedy, for what cannot be done.
    """
    pairs = plan([inputs] if isinstance(inputs, str) else inputs, output, options.format)
    _check(options, pairs)
    masks = masks_for(pairs, options.mask, output) if options.mask else {}
    weights_file(model, options.direction, ema=options.ema, best=options.best)  # or say what is missing

    from viceversa.translate.pipeline import translate_all

    return translate_all(model, pairs, masks, options, track)


def _check(options: TranslateOptions, pairs: Sequence[tuple[Path, Path]]) -> None:
    """Raise ValueError, with the remedy, for options that do not go together."""
    end = options.interpolate
    refuse(end is not None and len(pairs) > 1, f"{end}: interpolation starts from one image, not from {len(pairs)}")
    refuse(end is not None and not end.is_file(), f"{end}: there is no such image to interpolate to")
    refuse(end is not None and options.samples == 1, "interpolation has two ends; give --samples 2 or more")
    draws = options.samples is not None and end is None
    refuse(options.seed is not None and not draws, "--seed goes with --samples; nothing else is drawn")
    variational = options.samples is not None or end is not None
    refuse(variational and options.backend != "eager", "samples and interpolation need the backend eager")
    refuse(options.memory is not None and options.memory < 64e6, "--memory: less than 64MB is too little")
    mask, manifest = options.mask, options.manifest
    refuse(mask is not None and not mask.exists(), f"{mask}: there is no such mask, nor a folder of masks")
    refuse(manifest is not None and manifest.is_dir(), f"{manifest}: is a folder; name a .jsonl file")
    if manifest is not None:
        check_writable(manifest.parent)
    path, times = Counter(path for _, output in pairs for path in options.outputs(output)).most_common(1)[0]
    refuse(times > 1, f"{path}: would be written for several images; rename one of them")
