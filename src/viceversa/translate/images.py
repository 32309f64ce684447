"""What is done with each image: read, compute, write; and which backend computes."""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np

from viceversa.backends import ExportedGenerator, draws_random_numbers, psnr
from viceversa.data.image_data import ImageData, ImageError, Pixels, resize, with_channels
from viceversa.data.image_io import read_image
from viceversa.devices import multiplies_bf16, pick_device
from viceversa.engine.distributed import DistInfo
from viceversa.files import Track
from viceversa.paths import list_images
from viceversa.translate import TranslateOptions, TranslateResult
from viceversa.translate.blend import blend, read_mask
from viceversa.translate.clips import is_video
from viceversa.translate.files import refuse
from viceversa.translate.pipeline import pipeline
from viceversa.translate.source import ANIMATED, count_images, read_metadata, read_source, write_translation
from viceversa.translate.video import translate_clip
from viceversa.translator import PreparedImage, Translator

Job: TypeAlias = tuple[Path, Path]  # from, to
Images: TypeAlias = Sequence[ImageData]
BATCH_PIXELS = {"cpu": 2**14, "cuda": 2**20, "mps": 2**20}
"""Of all images of a batch together, unless the user says how many: a CPU is busy with one of 128 px."""
LARGEST_BATCH = 16
LARGE = 2**24
"""Pixels from which on an image is alone in memory."""
EXACT = 45.0
"""PSNR to eager, in decibels, from which on nobody sees a difference."""
CALIBRATION_IMAGES = 16


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
    pairs = [(file, out.with_suffix(written_suffix(translator, out.suffix))) for file, out in pairs]
    result = TranslateResult(translator.card.direction)
    todo = list[Job]()
    for job in pairs[dist.rank :: dist.world_size]:
        if options.overwrite or not all(path.exists() for path in options.outputs(job[1])):
            todo.append(job)
        else:
            result.skipped.append(job[1])
    if todo:
        translator, result.backend = choose_backend(translator, options, [file for file, _ in pairs])
        clips = [job for job in todo if is_clip(job[0])]
        images = [job for job in todo if job not in clips]
        found = dict[Job, int | ImageError]()
        if images:
            still = translator
            if options.clip_statistics:
                still = translator.with_statistics(_first_images(_spread([file for file, _ in images], 8), 8, options))
            with closing(_translated(images, still, masks, options)) as done:
                found |= {images[number]: files for number, files in track(done, len(images))}
        for job in clips:
            found[job] = _clip(job, translator, masks, options, result, track)
        for file, output in todo:  # in their order, not in that of being done
            files = found[file, output]
            if isinstance(files, ImageError):
                result.failed[file] = str(files).removeprefix(f"{file}: ")
            else:
                result.written.append(output)
                result.files += files
    return result


def _translated(
    jobs: Sequence[Job], translator: Translator, masks: Mapping[Path, Path], options: TranslateOptions
) -> Generator[tuple[int, int | ImageError], None, None]:
    """Yield the number of each job that is done, with its number of files or what is wrong with the image."""

    def read(job: Job) -> PreparedImage:
        if options.mask and job[0] not in masks:
            raise ImageError(f"there is no mask of its name in {options.mask}")
        return translator.prepare(resize_short_side(read_source(job[0]), options.size))

    def size(image: PreparedImage) -> int:
        fits = batch_size(translator, image, options.batch)
        return fits if options.one_output else min(fits, 1)

    end = read_image(options.interpolate) if options.interpolate else None
    compute, write = partial(_compute, translator, options, end), partial(_write, options, masks)
    done = pipeline(jobs, read, compute, write, batch_key=lambda image: image.x.shape, batch_size=size)
    with closing(done):
        for number, files in done:
            if options.manifest:
                _record(options.manifest, jobs[number], options, files)
            yield number, files


def written_suffix(translator: Translator, suffix: str) -> str:
    """Return the suffix of a translation's file, of which only some formats hold any number of channels."""
    holds = translator.card.out_channels in (1, 3, 4) or suffix.lower() in (".tif", ".tiff", ".npy")
    return suffix if holds else ".tiff"


def batch_size(translator: Translator, image: PreparedImage, wanted: int | None = None) -> int:
    """Return how many images of this one's size to compute at once, or `wanted`; 0 for one too large for company."""
    _, _, height, width = image.x.shape
    if height * width > LARGE:
        return 0
    if draws_random_numbers(translator.net):
        return 1
    return wanted or max(1, min(LARGEST_BATCH, BATCH_PIXELS.get(translator.device.type, 0) // (height * width)))


def _clip(
    job: Job,
    translator: Translator,
    masks: Mapping[Path, Path],
    options: TranslateOptions,
    result: TranslateResult,
    track: Track,
) -> int | ImageError:
    """Translate a video or an animation; return how many files were written, or what is wrong with it."""
    files: int | ImageError = 1
    prepare = partial(resize_short_side, size=options.size)
    finish = partial(finished, options, masks.get(job[0]))
    try:
        if options.mask and job[0] not in masks:
            raise ImageError(f"there is no mask of its name in {options.mask}")
        if not options.one_output:
            raise ImageError(f"{job[0]}: moves; --samples, --interpolate and --save-mask are for images")
        result.flicker.append(translate_clip(translator, *job, options, prepare, finish, track))
    except ImageError as error:
        files = error
    if options.manifest:
        _record(options.manifest, job, options, files)
    return files


def is_clip(path: Path) -> bool:
    """Whether a file is a video or an animation."""
    if is_video(path):
        return True
    count, kind = count_images(path)
    return count > 1 and kind in ANIMATED


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


def _compute(
    translator: Translator, options: TranslateOptions, end: ImageData | None, batch: list[PreparedImage]
) -> list[Images | ImageError]:
    """Return, for each image, itself and what `TranslateOptions.outputs` are to hold, in their order."""
    if options.one_output:
        results = translator.translate_batch(batch)
        return [y if isinstance(y, ImageError) else [x.image, y] for x, y in zip(batch, results, strict=True)]
    image = batch[0].image  # the only one
    try:
        if end is not None:
            made = translator.interpolate(image, end, options.samples or 8)
        elif options.samples is not None:
            made = translator.samples(image, options.samples, options.seed or 0)
        else:
            made = [translator.translate(image)]
        painted = [ImageData(translator.mask(image), None, True)] if options.save_mask else []
        return [[image, *made, *painted]]
    except ImageError as error:
        return [error]


def _write(options: TranslateOptions, masks: Mapping[Path, Path], job: Job, images: Images) -> int:
    """Write what does not exist, or all with `overwrite`, and return how many files that were.

    `images` are the input and what was made of it.
    """
    file, output = job
    original, *results = images
    made = len(results) - options.save_mask  # the last one is where it painted
    results[:made] = [finished(options, masks.get(file), original, result) for result in results[:made]]
    todo = [
        (path, result)
        for path, result in zip(options.outputs(output), results, strict=True)
        if options.overwrite or not path.exists()
    ]
    metadata = read_metadata(file)
    for path, image in todo:
        write_translation(path, image, metadata)
    return len(todo)


def finished(options: TranslateOptions, mask: Path | None, original: ImageData, result: ImageData) -> ImageData:
    """Return a translation with what the options keep of the original."""
    if mask is None and options.strength == 1 and not options.match_color:
        return result
    weight: Pixels | float = options.strength
    if mask is not None:
        weight = weight * read_mask(mask, original.pixels.shape[:2], options.feather)
    return blend(original, result, weight, options.match_color)


def resize_short_side(image: ImageData, size: int | None) -> ImageData:
    """Return the image with `size` pixels at its short side, antialiased; as it is for None."""
    if size is None:
        return image
    height, width = image.pixels.shape[:2]
    scale = size / min(height, width)
    shape = round(height * scale), round(width * scale)
    if image.alpha is None:
        return replace(image, pixels=resize(image.pixels, shape))
    if image.pixels.dtype == np.uint8:  # Pillow weighs colours by how much they are seen
        small = resize(with_channels(image, 4), shape)
        return replace(image, pixels=small[:, :, :3], alpha=small[:, :, 3])
    alpha = image.alpha[:, :, None].astype(np.float32) / 255
    seen, small = resize(alpha, shape), resize(image.pixels * alpha, shape)
    colours = (small / np.maximum(seen, 1e-6)).clip(0, 1)
    return replace(image, pixels=colours, alpha=np.rint(seen[:, :, 0] * 255).astype(np.uint8))


def choose_backend(translator: Translator, options: TranslateOptions, files: Sequence[Path]) -> tuple[Translator, str]:
    """Return the translator with the backend asked for, and a line that says which and how exact it is.

    `auto` is bfloat16 where the hardware multiplies it, and its PSNR to eager on the first images is `EXACT` or more;
    else it is eager. Raises ValueError with the remedy.
    """
    name = options.backend
    if name == "auto":
        as_it_is = isinstance(translator.net, ExportedGenerator) or draws_random_numbers(translator.net)
        bf16 = multiplies_bf16(translator.device) and not as_it_is
        name = "bf16" if bf16 else "eager"
    if name == "eager":
        return translator, "" if options.backend == "eager" else "backend eager: bf16 is not faster here"
    examples = list_images(options.calibrate) if options.calibrate else list(files)
    spread = _spread(examples, CALIBRATION_IMAGES) if name == "int8" else []
    calibration = [_middle(image, translator.card.size) for image in _first_images(spread, CALIBRATION_IMAGES, options)]
    other = translator.with_backend(name, calibration)
    shown = _first_images(files, 2, options)
    inputs = [translator.prepare(image).x.to(translator.device) for image in shown]
    decibels = psnr(other.backend, translator.backend, inputs)
    if math.isnan(decibels) or (options.backend == "auto" and decibels < EXACT):
        # what is not finite is left to eager: OpenVINO turns NaN into numbers
        name, other = f"eager, as {name} is not exact enough", translator
    return other, f"backend {name}: {decibels:.1f} dB to eager on the first {len(inputs)} images"


def _spread(files: Sequence[Path], count: int) -> Sequence[Path]:
    """Return about so many files, from all over the list."""
    return files[:: max(1, len(files) // count)]


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


def _middle(image: ImageData, largest: int) -> ImageData:
    """Return the middle of an image, `largest` pixels a side or less."""
    top, left = (max(0, math.ceil((side - largest) / 2)) for side in image.pixels.shape[:2])
    cut = slice(top, top + largest), slice(left, left + largest)
    return replace(image, pixels=image.pixels[cut], alpha=None if image.alpha is None else image.alpha[cut])
