"""Which route pictures go by, and how exact it is on them."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from viceversa.backends import EXACT, Backend, TrainedGenerator, measurable, open_backend, psnr
from viceversa.data.image_data import ImageData, ImageError
from viceversa.data.image_io import read_image
from viceversa.devices import environment
from viceversa.files import cache_folder, replacing
from viceversa.translate.size import at_size
from viceversa.translator import Translator

MANY = 24
"""Pictures from which on a trial of routes is worth its time; what was tried before is remembered."""
WORTH = 0.9
"""Another route must take less than this share of eager's time."""
LOOKED_AT = 2
"""Pictures that exactness is measured on."""
CALIBRATED_ON = 16
ROUNDS = 2


class Tried(NamedTuple):
    """What a trial found of a route."""

    seconds: float
    """For a picture."""
    psnr: float
    """To eager, decibels."""


def routed(
    translator: Translator, route: str, files: Sequence[Path], size: int | None, calibrate: Sequence[Path] = ()
) -> tuple[Translator, str]:
    """Return the translator by a route, and a sentence that says which and how exact ("" for eager, asked for).

    `auto` takes the fastest whose PSNR to eager is `EXACT` or more on the first pictures. `int8` is calibrated on the
    first of `calibrate`, or of what is to be translated. Raises ValueError with the remedy.
    """
    if route == "eager":
        return translator, ""
    shown = _first(files, LOOKED_AT, size)
    inputs = [translator.fit(picture).x.to(translator.device) for picture in shown]
    source = TrainedGenerator(translator.net, translator.card, translator.device)
    tried: dict[str, Tried] = {}
    if route == "auto":
        tried = _remembered(source, inputs, enough=len(files) >= MANY) if inputs else {}
        route = fastest(tried)
        if route == "eager":
            return translator, f"route eager: {'the fastest' if tried else 'too few pictures for a trial'}"
    examples = _examples(calibrate or files, size, translator) if route == "int8" else []
    quick = translator.with_backend(route, examples)
    found = psnr(quick.run, translator.run, inputs)
    faster = f", {tried['eager'].seconds / tried[route].seconds:.1f} x as fast as eager" if tried else ""
    return quick, f"route {route}: {found:.1f} dB to eager on the first {len(inputs)}{faster}"


def fastest(tried: dict[str, Tried]) -> str:
    """Return the fastest route that is exact enough, and worth it; `eager` if there is none."""
    if not tried:
        return "eager"
    limit = WORTH * tried["eager"].seconds
    fair = {name: found.seconds for name, found in tried.items() if found.psnr >= EXACT and found.seconds < limit}
    return min(fair, key=fair.__getitem__, default="eager")


def _remembered(source: TrainedGenerator, inputs: Sequence[Tensor], enough: bool) -> dict[str, Tried]:
    """Return what was found for this network, size and machine before, or is now, if there is `enough` to translate."""
    names = measurable(source)
    facts = [environment(source.device), source.digest, [list(x.shape) for x in inputs], names]
    path = cache_folder() / "trials" / f"route-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]}.json"
    try:
        return {name: Tried(*map(float, found)) for name, found in json.loads(path.read_text("utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        if not enough or not names:
            return {}
    runs = {name: open_backend(name, source) for name in ("eager", *names)}
    tried = {name: Tried(_seconds(run, inputs), psnr(run, runs["eager"], inputs)) for name, run in runs.items()}
    with replacing(path, durable=False) as temporary:
        temporary.write_text(json.dumps(tried), "utf-8")
    return tried


def _seconds(run: Backend, inputs: Sequence[Tensor]) -> float:
    """Return the least time of a picture, after one that is not counted."""
    times = []
    with torch.inference_mode():
        for x in [inputs[0], *list(inputs) * ROUNDS]:
            start = time.perf_counter()
            run(x).cpu()
            times.append(time.perf_counter() - start)
    return min(times[1:])


def _first(files: Sequence[Path], count: int, size: int | None) -> list[ImageData]:
    """Return the first pictures that can be read."""
    found: list[ImageData] = []
    for file in files:
        if len(found) == count:
            break
        try:
            found.append(at_size(read_image(file), size))
        except ImageError:
            continue
    return found


def _examples(files: Sequence[Path], size: int | None, translator: Translator) -> list[ImageData]:
    """Return pictures to calibrate on, spread over the files; of those larger than crops in training, the middle."""
    spread = files[:: max(1, len(files) // CALIBRATED_ON)]
    return [_middle(picture, translator.card.size) for picture in _first(spread, CALIBRATED_ON, size)]


def _middle(picture: ImageData, most: int) -> ImageData:
    """Return the middle of a picture, `most` pixels a side or less."""
    (top, left) = (max(0, math.ceil((side - most) / 2)) for side in picture.pixels.shape[:2])
    cut = slice(top, top + most), slice(left, left + most)
    return ImageData(picture.pixels[cut], None if picture.alpha is None else picture.alpha[cut], picture.gray)
