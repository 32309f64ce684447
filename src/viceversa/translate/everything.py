"""All that one call of `translate` does: its share of the images and clips, the backend, the manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from viceversa.backends import ExportedGenerator, draws_random_numbers, psnr
from viceversa.data.image_data import ImageData, ImageError
from viceversa.devices import multiplies_bf16, pick_device
from viceversa.engine.distributed import DistInfo
from viceversa.files import Track
from viceversa.translate import TranslateOptions, TranslateResult
from viceversa.translate.files import refuse
from viceversa.translate.images import Job, Steps, resize_short_side, written_suffix
from viceversa.translate.source import is_clip, read_source
from viceversa.translate.video import translate_clip
from viceversa.translator import Translator

EXACT = 45.0
"""PSNR to eager, in decibels, from which on nobody sees a difference."""


def translate_all(
    model: Path, pairs: Sequence[Job], masks: Mapping[Path, Path], options: TranslateOptions, track: Track
) -> TranslateResult:
    """Translate this process's share of (input, output) pairs; `masks` are by input."""
    dist = DistInfo.from_env()
    device = pick_device(options.device, dist.local_rank)
    translator = Translator.load(
        model, options.direction, ema=options.ema, best=options.best, device=device, memory=options.memory
    )
    no_mask = options.save_mask and not translator.has_mask
    refuse(no_mask, f"{model}: has no attention mask; train with generator.mask=true for --save-mask")
    result = TranslateResult(translator.card.direction)
    todo = list[Job]()
    for file, out in pairs[dist.rank :: dist.world_size]:
        output = out.with_suffix(written_suffix(translator, out.suffix))
        if options.overwrite or not all(path.exists() for path in options.outputs(output)):
            todo.append((file, output))
        else:
            result.skipped.append(output)
    if not todo:
        return result
    translator, result.backend = choose_backend(translator, options, [file for file, _ in pairs])
    found = dict[Job, int | ImageError]()
    for job, files in _done(todo, Steps(translator, options, masks), result.flicker, track):
        found[job] = files
        if options.manifest:
            _record(options.manifest, job, options, files)
    for file, output in todo:  # in their order, not in that of being done
        files = found[file, output]
        if isinstance(files, ImageError):
            result.failed[file] = str(files).removeprefix(f"{file}: ")
        else:
            result.written.append(output)
            result.files += files
    return result


def _done(
    todo: Sequence[Job], steps: Steps, flicker: list[str], track: Track
) -> Iterator[tuple[Job, int | ImageError]]:
    """Yield each job with its number of files, or what is wrong with it: first the images, then the clips."""
    clips = dict.fromkeys(job for job in todo if is_clip(job[0]))
    images = [job for job in todo if job not in clips]
    refuse(bool(steps.options.smooth) and not clips, "--smooth: blends frames, and no input is a video or an animation")
    if images:
        still = steps
        if steps.options.clip_statistics:
            first = _first_images([file for file, _ in images[:: max(1, len(images) // 8)]], 8, steps.options)
            still = replace(steps, translator=steps.translator.with_statistics(first))
        yield from still.all(images, track)
    for job in clips:
        try:
            flicker.append(translate_clip(steps, job, track))
            yield job, 1
        except ImageError as error:
            yield job, error


def _record(manifest: Path, job: Job, options: TranslateOptions, files: int | ImageError) -> None:
    """Add a line to a manifest. It is written at once, so that it holds what was done even if the rest is not."""
    file, output = job
    line: dict[str, object] = {"input": str(file)}
    if isinstance(files, ImageError):
        line["error"] = str(files).removeprefix(f"{file}: ")
    else:
        line["outputs"] = [str(path) for path in options.outputs(output)]
    with manifest.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(line) + "\n")


def choose_backend(translator: Translator, options: TranslateOptions, files: Sequence[Path]) -> tuple[Translator, str]:
    """Return the translator with the backend asked for, and a line that says which and how exact it is.

    `auto` is bfloat16 where the hardware multiplies it, and its PSNR to eager on the first images is `EXACT` or more;
    else it is eager. Raises ValueError with the remedy.
    """
    name: str = options.backend
    if name == "auto":
        as_it_is = isinstance(translator.net, ExportedGenerator) or draws_random_numbers(translator.net)
        bf16 = multiplies_bf16(translator.device) and not as_it_is
        name = "bf16" if bf16 else "eager"
    if name == "eager":
        return translator, "" if options.backend == "eager" else "backend eager: bf16 is not faster here"
    other = translator.with_backend(name)
    shown = _first_images(files, 2, options)
    inputs = [translator.prepare(image).x.to(translator.device) for image in shown]
    decibels = psnr(other.backend, translator.backend, inputs)
    if options.backend == "auto" and not decibels >= EXACT:  # it may be NaN
        name, other = "eager, as bf16 is not exact enough", translator
    return other, f"backend {name}: {decibels:.1f} dB to eager on the first {len(inputs)} images"


def _first_images(files: Sequence[Path], count: int, options: TranslateOptions) -> list[ImageData]:
    """Return the first images that can be read."""
    found: list[ImageData] = []
    for file in files:
        if len(found) == count:
            break
        try:
            found.append(resize_short_side(read_source(file), options.size))
        except ImageError:
            continue
    return found
