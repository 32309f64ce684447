"""A look at each image, in several processes: all that the checks need to know of it, in a kilobyte."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from viceversa.config import DataConfig
from viceversa.data.datasets import DatasetSplits, FileSample, Sample, open_each
from viceversa.data.image_data import ImageError, Pixels, luminance
from viceversa.data.image_io import FORMATS, header_orientation, open_pil
from viceversa.data.transforms import converted
from viceversa.files import Track

THUMB = 16  # side of the small image by which copies and pairs are compared
EDGES = 128  # side of the image whose outlines are compared with the partner's
BORDER = 8  # a border is this part of the smaller image's 64 pixels wide
FEW = 64  # so many images are looked at before other processes have started

Gray: TypeAlias = NDArray[np.float32]
CheckUnit: TypeAlias = tuple[str, str, tuple[Sample, ...], DataConfig]
"""What is decoded together: its split, "train" or "test"; its domains, "A", "B" or "AB"; its samples."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of one image, as the networks would get it. Of a broken one that is its `error` alone."""

    name: str
    part: str
    domain: str
    error: str = ""
    size: tuple[int, int] = (0, 0)
    """Width and height, upright, and of the half that is meant."""
    mode: str = ""
    traits: tuple[str, ...] = ()
    """What reading changes: animated, cmyk, misnamed, transparent, turned, stretched."""
    digest: bytes = b""
    """Of the decoded pixels: equal for equal images, whatever their files."""
    thumb: bytes = b""
    """(16, 16, 3), small enough to keep for all images."""
    outlines: bytes = b""
    """(16, 16), where the edges are."""
    peak: float = 0
    """The greatest number, as a part of what the format can hold."""
    deep: bool = False
    measures: dict[str, float] = field(default_factory=dict)
    """Plain numbers that may tell the domains apart; brightness and colours are 0 to 255."""
    shift: tuple[float, float] | None = None
    """Of B of a pair against A, right and down, as parts of the side."""


@dataclass(frozen=True)
class Survey:
    """A data set, and a look at each of its images; of pairs, which belong together."""

    splits: DatasetSplits
    data: DataConfig
    looks: list[Look]
    pairs: list[tuple[Look, Look]]

    def sound(self, domain: str) -> list[Look]:
        """Return those of domain "A" or "B" that could be opened."""
        return [look for look in self.looks if look.domain == domain and not look.error]


def look_around(splits: DatasetSplits, data: DataConfig, track: Track) -> Survey:
    """Look at every image of a data set."""
    parts = {"train": splits.train, "test": splits.test}
    units = [(part, domains, samples, data) for part, split in parts.items() for domains, samples in split.units()]
    seen: list[list[Look]] = list(track(_look_at_all(units), len(units)))
    pairs = [(looks[0], looks[1]) for looks in seen if len(looks) == 2 and not any(look.error for look in looks)]
    return Survey(splits, data, [look for looks in seen for look in looks], pairs)


def _look_at_all(units: Sequence[CheckUnit]) -> Iterator[list[Look]]:
    processes = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    if processes == 1 or len(units) <= FEW:
        yield from map(look_at, units)
        return
    # Forked where that is safe, since others take seconds to import torch; Ctrl-C is left to the main process.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forking beside the threads of a progress bar: harmless here
        pool = ProcessPoolExecutor(min(processes, 16), context, signal.signal, (signal.SIGINT, signal.SIG_IGN))
        try:
            yield from pool.map(look_at, units, chunksize=max(1, min(256, len(units) // (8 * processes))))
        except BrokenProcessPool:
            raise ValueError("a process that opens images was killed, perhaps for want of memory") from None
        finally:
            pool.shutdown(cancel_futures=True)


def look_at(unit: CheckUnit) -> list[Look]:
    """Look at the samples of a unit, as training will see them."""
    part, domains, samples, data = unit
    looks, seen = [], []
    for sample, domain, image in zip(samples, domains, open_each(samples), strict=True):
        look = Look(str(sample), part, domain)
        pixels = image if isinstance(image, ImageError) else converted(image, sample, domain, data)
        if isinstance(image, ImageError) or isinstance(pixels, ImageError):
            looks.append(replace(look, error=str(pixels)))
            continue
        look = replace(_described(_with_header(look, sample), pixels), deep=image.depth == 16)
        looks.append(replace(look, traits=(*look.traits, "stretched")) if image.stretched else look)
        seen.append(pixels)
    return [looks[0], replace(looks[1], shift=_shift(*seen))] if len(seen) == 2 else looks


def _with_header(look: Look, sample: Sample) -> Look:
    """Add what a file's header says; of samples that are no files nothing is known."""
    if not isinstance(sample, FileSample):
        return look
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with open_pil(sample.path, sample.file) as image:
                photo = image.format == "MPO"  # a camera's JPEG with a preview or a depth map behind it
                format = "JPEG" if photo else image.format or ""
                found = {
                    "animated": getattr(image, "n_frames", 1) > 1 and not photo,
                    "cmyk": image.mode == "CMYK",
                    "misnamed": FORMATS.get(sample.path.suffix.lower()) != format,
                    "transparent": image.has_transparency_data,
                    "turned": header_orientation(image) in range(2, 9),
                }
                traits = tuple(trait for trait, there in found.items() if there)
                return replace(look, mode=image.mode, traits=traits, measures={"JPEG": float(format == "JPEG")})
    except Exception:  # Pillow does not know the format
        return look


def _described(look: Look, pixels: Pixels) -> Look:
    """Add what pixels (H, W, C) tell."""
    top = 255 if pixels.dtype == np.uint8 else 1
    small = _small(pixels, 64)
    gray = luminance(small)[:, :, 0]
    inner = gray[BORDER:-BORDER, BORDER:-BORDER]
    digest = hashlib.blake2b(f"{pixels.shape} {pixels.dtype}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    red, green, blue = (float(mean) for mean in small.mean((0, 1)))
    contrast = float(pixels.reshape(-1, pixels.shape[2]).std(0, dtype=np.float32).max()) * 255 / top
    steps = float(np.abs(np.diff(pixels[:, :, 0].astype(np.float32), axis=1)).mean()) if pixels.shape[1] > 1 else 0.0
    measures = {
        "brightness": float(gray.mean()),
        "brightness of the border": float((gray.sum() - inner.sum()) / (gray.size - inner.size)),
        "contrast": contrast,
        "warmth (red - blue)": red - blue,
        "tint (green - magenta)": green - (red + blue) / 2,
        "sharpness (change per pixel, in % of the contrast)": 100 * steps * 255 / top / max(contrast, 1),
        "short side": float(min(pixels.shape[:2])),
    }
    return replace(
        look,
        size=(pixels.shape[1], pixels.shape[0]),
        digest=digest.digest(),
        thumb=_box(small),
        outlines=_box(_edges(gray) * (255 / 40)),
        peak=float(pixels.max()) / top,
        measures=measures | look.measures,
    )


def _shift(a: Pixels, b: Pixels) -> tuple[float, float]:
    """Return by which part of the side b's outlines lie to the right of and below a's: where they agree best."""
    spectra = []
    for pixels in (a, b):
        edges = _edges(luminance(_small(pixels, EDGES))[:, :, 0])
        spectra.append(np.fft.rfft2(edges - edges.mean()))
    overlap, reach = np.fft.irfft2(spectra[0].conj() * spectra[1], (EDGES, EDGES)), EDGES // 8
    near = np.roll(overlap, (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1]
    down, right = (int(i) - reach for i in np.unravel_index(int(near.argmax()), near.shape))
    return right / EDGES, down / EDGES


def _edges(gray: Gray) -> Gray:
    down, right = np.gradient(gray)
    strength: Gray = np.minimum(np.hypot(down, right), 40).astype(np.float32)  # one hard edge must not outweigh all
    return strength


def _small(pixels: Pixels, side: int) -> Gray:
    """Return (side, side, 3) float32, 0 to 255, by averaging: the first three channels, or the first one thrice."""
    planes = [pixels[:, :, i if pixels.shape[2] >= 3 else 0] for i in range(3)]
    images = [Image.fromarray(np.ascontiguousarray(plane)) for plane in planes]
    parts = [np.asarray(image.resize((side, side), Image.Resampling.BOX), np.float32) for image in images]
    small: Gray = np.dstack(parts) if pixels.dtype == np.uint8 else 255 * np.dstack(parts)
    return small


def _box(values: Gray) -> bytes:
    """Average a (64, 64) or (64, 64, C) field over THUMB x THUMB boxes."""
    means: Gray = values.reshape(THUMB, 64 // THUMB, THUMB, 64 // THUMB, -1).mean((1, 3))
    return np.rint(means).astype(np.uint8).tobytes()
