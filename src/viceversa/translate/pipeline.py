"""All that one call of `translate` does: its share of the images and clips, and the backend.

Images are read ahead by one thread, computed by the caller's, and written behind by a few, so that neither a network
nor a graphics card waits for files. What is held in memory is bounded.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

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

Task = TypeVar("Task")
Read = TypeVar("Read")
Result = TypeVar("Result")

EXACT = 45.0
"""PSNR to eager, in decibels, from which on nobody sees a difference."""
AHEAD = 4
"""Images read before their turn, or two batches if that is more."""
WRITERS = 4
"""Threads that compress and write; one image more waits for each of them."""


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
        if not options.overwrite and all(path.exists() for path in options.outputs(output)):
            result.skipped.append(output)
        else:
            todo.append((file, output))
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
    unmasked = dict.fromkeys(job for job in todo if steps.options.mask and job[0] not in steps.masks)
    yield from ((job, ImageError(f"there is no mask of its name in {steps.options.mask}")) for job in unmasked)
    clips = dict.fromkeys(job for job in todo if job not in unmasked and is_clip(job[0]))
    images = [job for job in todo if job not in clips and job not in unmasked]
    refuse(bool(steps.options.smooth) and not clips, "--smooth: blends frames, and no input is a video or an animation")
    if images:
        still = steps
        if steps.options.clip_statistics:
            first = _first_images([file for file, _ in images[:: max(1, len(images) // 8)]], 8, steps.options)
            still = replace(steps, translator=steps.translator.with_statistics(first))
        three = still.read, still.compute, still.write
        work = pipeline(images, *three, batch_key=lambda image: image.x.shape, batch_size=still.batch_size)
        with closing(work):
            for number, files in track(work, len(images)):
                yield images[number], files
    for job in clips:
        try:
            flicker.append(translate_clip(steps, job, track))
            yield job, 1
        except ImageError as error:
            yield job, error


def _record(manifest: Path, job: Job, options: TranslateOptions, files: int | ImageError) -> None:
    """Add a line to a manifest at once, so that it holds what was done even if the rest is not."""
    line: dict[str, object] = {"input": str(job[0])}
    if isinstance(files, ImageError):
        line["error"] = str(files).removeprefix(f"{job[0]}: ")
    else:
        line["outputs"] = [str(path) for path in options.outputs(job[1])]
    with manifest.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(line) + "\n")


def choose_backend(translator: Translator, options: TranslateOptions, files: Sequence[Path]) -> tuple[Translator, str]:
    """Return the translator with the backend asked for, and a line that says which and how exact it is.

    `auto` is bfloat16 where the hardware multiplies it, and its PSNR to eager on the first images is `EXACT` or more.
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


def pipeline(
    jobs: Sequence[Task],
    read: Callable[[Task], Read],
    compute: Callable[[list[Read]], Sequence[Result | ImageError]],
    write: Callable[[Task, Result], int],
    *,
    batch_key: Callable[[Read], Hashable],
    batch_size: Callable[[Read], int],
) -> Generator[tuple[int, int | ImageError], None, None]:
    """Take jobs through `read`, `compute` and `write`; yield the number of each that is done, and its number of files.

    An ImageError of any of the three concerns one image, and is yielded in place of its number of files. Any other
    error ends the work: what was computed is still written, the rest is not begun. A batch holds images that follow
    one another and have the same `batch_key`, and at most the `batch_size` of its first one; 0 is for one so large
    that no other waits beside it.
    """
    coming = enumerate(jobs)
    ahead: deque[tuple[int, Future[Read | ImageError]]] = deque()
    behind: dict[Future[int | ImageError], int] = {}
    size = 0
    with ThreadPoolExecutor(WRITERS) as writers, ThreadPoolExecutor(1) as reader:
        try:
            while True:
                for number, job in islice(coming, max(0, (max(AHEAD, 2 * size) if size else 1) - len(ahead))):
                    ahead.append((number, reader.submit(_attempt, read, job)))
                if not ahead:
                    break
                batch = dict[int, Read]()
                while ahead and len(batch) < max(1, size if batch else 1):
                    number, image = ahead[0][0], ahead[0][1].result()
                    if isinstance(image, ImageError):
                        yield number, image
                    elif not batch:
                        batch, key, size = {number: image}, batch_key(image), batch_size(image)
                    elif batch_key(image) == key:
                        batch[number] = image
                    else:
                        break
                    ahead.popleft()
                results = compute(list(batch.values())) if batch else ()
                for number, result in zip(batch, results, strict=True):
                    if isinstance(result, ImageError):
                        yield number, result
                        continue
                    yield from _written(behind, below=2 * WRITERS if size else 1)
                    behind[writers.submit(_attempt, write, jobs[number], result)] = number
            yield from _written(behind, below=1)
        finally:
            reader.shutdown(cancel_futures=True)


def _attempt(do: Callable[..., Result], *args: object) -> Result | ImageError:
    try:
        return do(*args)
    except ImageError as error:
        return error


def _written(behind: dict[Future[int | ImageError], int], below: int) -> Iterator[tuple[int, int | ImageError]]:
    """Yield what is written, and wait until fewer than `below` images are still to be."""
    while behind:
        done, _ = wait(behind, None if len(behind) >= below else 0, FIRST_COMPLETED)
        if not done:
            return
        for future in done:
            yield behind.pop(future), future.result()
