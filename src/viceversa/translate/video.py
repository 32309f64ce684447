"""Clips, translated frame by frame with the same statistics, in parts that outlive a kill."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from viceversa.data.image_data import ImageData, ImageError, eight_bits, luminance
from viceversa.files import Track, replacing
from viceversa.translate import TranslateOptions
from viceversa.translate.clips import Clip, TimedFrame, join_parts, open_clip, write_animation, write_part
from viceversa.translate.files import is_video
from viceversa.translate.images import Job, Steps, finished, resize_short_side
from viceversa.translator import Translator

PART = 50
"""Frames of a part: what a kill loses, at most."""
SAMPLE = 8
"""Frames from which the statistics of a clip are taken."""
GRID = 16
"""Places in a row and in a column at which flicker is measured."""
STILL = 8.0
"""Levels of 255: where brightness changes by so much, frames are hardly blended any more."""
ANIMATIONS = frozenset({".gif", ".webp", ".png", ".avif"})


@dataclass
class Memory:
    """What later frames need to know of earlier ones; kept with each part."""

    inputs: list[NDArray[np.float32]] = field(default_factory=list)
    """Brightness at the places of the grid, of each frame."""
    outputs: list[NDArray[np.float32]] = field(default_factory=list)
    last: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
    """Brightness of the last input, and the last output."""

    def blended(self, image: ImageData, result: ImageData, share: float) -> ImageData:
        """Note a frame, and return its translation with a share of the one before, where the input has not changed."""
        gray = _levels(luminance(image.pixels))
        pixels = _levels(result.pixels)
        if share and self.last is not None and self.last[0].shape == gray.shape:
            still = np.exp(-(((gray - self.last[0]) / np.float32(STILL)) ** 2))
            pixels = np.rint(pixels + np.float32(share) * still * (self.last[1] - pixels))
            result = ImageData(pixels.astype(np.uint8), result.alpha, result.gray)
        self.last = gray, pixels
        self.inputs.append(_means(gray))
        self.outputs.append(_means(_levels(luminance(result.pixels))))
        return result

    def save(self, path: Path) -> None:
        """Write all of it to a file, whole or not at all."""
        assert self.last is not None
        with replacing(path) as partial, partial.open("wb") as file:
            np.savez(file, inputs=self.inputs, outputs=self.outputs, gray=self.last[0], pixels=self.last[1])

    @classmethod
    def load(cls, path: Path) -> Memory:
        """Return what was saved."""
        with np.load(path) as saved:
            return cls([*saved["inputs"]], [*saved["outputs"]], (saved["gray"], saved["pixels"]))


def translate_clip(steps: Steps, job: Job, track: Track) -> str:
    """Translate a video or an animation, and return a line that tells how much it flickers.

    Of a damaged file, what precedes the damage is written, and the ImageError says so.
    """
    (file, output), translator, options = job, steps.translator, steps.options
    if not options.one_output:
        raise ImageError(f"{file}: moves; --samples, --interpolate and --save-mask are for images")
    if not is_video(output) and output.suffix.lower() not in ANIMATIONS:
        raise ImageError(f"{file}: moves, and {output.suffix} does not; name a .gif, .webp, .png or .mp4 file")
    clip = open_clip(file)
    if options.clip_statistics is not False:
        sample = {round(n * (clip.count - 1) / (SAMPLE - 1)) for n in range(SAMPLE)}
        shown = _whole(clip.frames(sample.__contains__), [])
        frames = [resize_short_side(image, options.size) for _, image in shown]
        translator = translator.with_statistics(frames) if frames else translator
    errors = list[ImageError]()

    def translated(memory: Memory, first: int) -> Iterator[TimedFrame]:
        coming = _whole(clip.frames(lambda number: number >= first), errors)
        for time, frame in track(coming, max(0, clip.count - first)):
            image = resize_short_side(frame, options.size)
            result = finished(options, steps.masks.get(file), image, translator.translate(image))
            yield time, memory.blended(image, result, options.smooth)

    if is_video(output):
        memory = _in_parts(clip, output, _settings(translator, file, options), translated)
    else:
        memory = Memory()
        write_animation(output, translated(memory, 0), clip)
    if errors:
        count = len(memory.outputs)
        done = f"; the {count} frames before that are translated" if count else ""
        raise ImageError(f"{errors[0]}{done}")
    return f"{output}: flicker {flicker(memory.inputs):.2f} in the input, {flicker(memory.outputs):.2f} in the output"


def _in_parts(
    clip: Clip, output: Path, settings: dict[str, object], translated: Callable[[Memory, int], Iterator[TimedFrame]]
) -> Memory:
    """Write a video in parts, going on after those that an earlier call has left, and join them."""
    folder = output.with_name(f".{output.name}.parts")
    note = folder / "settings.json"
    if not note.is_file() or json.loads(note.read_text("utf-8")) != settings:
        shutil.rmtree(folder, ignore_errors=True)
        with replacing(note) as partial:
            partial.write_text(json.dumps(settings), "utf-8")
    parts, memory = list[Path](), Memory()
    while (state := folder / f"{len(parts):05}.npz").is_file():
        parts.append(state.with_suffix(".nut"))
        memory = Memory.load(state)
    frames = translated(memory, len(memory.outputs))
    while (first := next(frames, None)) is not None:
        parts.append(folder / f"{len(parts):05}.nut")
        write_part(parts[-1], chain([first], islice(frames, PART - 1)), clip, output.suffix.lower())
        memory.save(parts[-1].with_suffix(".npz"))
    if parts:
        join_parts(parts, clip.path, output, clip)
    shutil.rmtree(folder, ignore_errors=True)
    return memory


def _settings(translator: Translator, file: Path, options: TranslateOptions) -> dict[str, object]:
    """Return what parts depend on: with other settings they are not gone on with."""
    source = file.stat()
    weights = [float(parameter.double().sum()) for parameter in translator.net.parameters()]
    return {"source": [source.st_size, source.st_mtime], "weights": weights, "options": repr(options)}


def _whole(frames: Iterable[TimedFrame], errors: list[ImageError]) -> Iterator[TimedFrame]:
    """Yield frames until the file turns out to be damaged; that error is noted."""
    try:
        yield from frames
    except ImageError as error:
        errors.append(error)


def flicker(brightness: list[NDArray[np.float32]]) -> float:
    """Return how far frames are, at the places of a grid, from the mean of their neighbours: levels of 255, averaged.

    Steady motion and fading count little, brightness that jumps to and fro counts in full.
    """
    if len(brightness) < 3:
        return 0.0
    values = np.stack(brightness)
    return float(np.abs(values[1:-1] - (values[:-2] + values[2:]) / 2).mean())


def _levels(pixels: NDArray[np.generic]) -> NDArray[np.float32]:
    return eight_bits(pixels).astype(np.float32)


def _means(gray: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of (H, W, 1) in each cell of a grid."""
    image = Image.fromarray(gray[:, :, 0])
    size = min(GRID, image.width), min(GRID, image.height)
    return np.asarray(image.resize(size, Image.Resampling.BOX))
