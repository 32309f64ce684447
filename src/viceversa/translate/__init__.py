"""Translating a file, a folder or a glob of pictures into a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from viceversa.config import Direction
from viceversa.data.image_data import ImageError
from viceversa.devices import pick_device
from viceversa.engine.distributed import DistInfo
from viceversa.fast_cpu import fixed_weights
from viceversa.paths import EXTENSIONS, list_images
from viceversa.translate.choice import routed
from viceversa.translate.pipeline import Done
from viceversa.translate.plan import Job, plan, refuse
from viceversa.translate.size import at_size
from viceversa.translate.wanted import How, Wanted, check
from viceversa.translate.work import Work
from viceversa.translator import Translator

__all__ = ["How", "Outcome", "Wanted", "at_size", "plan", "translate_pictures"]

Track: TypeAlias = Callable[[Iterable[Done], int], Iterable[Done]]

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
    route: str = ""
    """By which route, and how exact that was; empty for eager, asked for."""


def translate_pictures(
    model: Path,
    sources: str | Sequence[str],
    target: Path,
    direction: Direction | None = None,
    *,
    wanted: Wanted = Wanted(),
    how: How = How(),
    raw: bool = False,
    best: bool = False,
    device: str = "auto",
    overwrite: bool = False,
    track: Track = lambda done, total: done,
) -> Outcome:
    """Translate pictures, folders or globs, and return how it went; `track` may show the progress.

    A picture that cannot be read is noted and the others are done. Under torchrun each process does its share. Raises
    FileNotFoundError when there is nothing to translate, and ValueError, with the remedy, for what cannot be done.
    """
    sources = [sources] if isinstance(sources, str) else sources
    refuse(
        len(sources) > 1 and target.suffix.lower() in EXTENSIONS,
        f"{target}: is the name of one picture, and there are {len(sources)} to translate; give a folder",
    )
    jobs = [job for source in sources for job in plan(source, target)]
    check(wanted, how, jobs)
    dist = DistInfo.from_env()
    placed = pick_device(device, dist.local_rank)
    translator = Translator.load(model, direction, raw=raw, best=best, device=placed)
    if wanted.save_mask and not translator.has_mask:
        raise ValueError(f"{model}: has no attention mask; train with generator.mask=true for --save-mask")
    if translator.card.out_channels not in (1, 3, 4):
        jobs = [
            (file, output if output.suffix.lower() in DEEP else output.with_suffix(".tiff")) for file, output in jobs
        ]
    share = jobs[dist.rank :: dist.world_size]
    todo, kept = list[Job](), list[Job]()
    for job in share:
        there = not overwrite and all(path.exists() for path in wanted.files(job[1]))
        (kept if there else todo).append(job)
    outcome = Outcome(translator.card.direction, kept=[output for _, output in kept])
    if todo:
        files, calibrate = [file for file, _ in jobs], list_images(how.calibrate) if how.calibrate else ()
        translator, outcome.route = routed(translator, how.route, files, wanted.size, calibrate)
        _do(todo, Work(translator, wanted, how.batch, overwrite), outcome, track)
    return outcome


def _do(jobs: Sequence[Job], work: Work, outcome: Outcome, track: Track) -> None:
    """Do the jobs, and note in the outcome, in their order, what became of them."""
    with fixed_weights(), closing(work.pipeline()(jobs, work.most)) as done:
        found = dict(track(done, len(jobs)))
    for number, (file, output) in enumerate(jobs):
        result = found[number]
        if isinstance(result, ImageError):
            outcome.failed[file] = str(result).removeprefix(f"{file}: ")
        else:
            outcome.written.append(output)
            outcome.files += result
