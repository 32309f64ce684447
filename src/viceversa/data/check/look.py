"""One look at a picture: all that the checks need to know of it, in a kilobyte."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from viceversa.data.check.headers import read_header
from viceversa.data.datasets import Sample, open_each
from viceversa.data.image_data import ImageError, Pixels, luminance, with_channels

THUMB = 16  # side of the small picture by which copies are compared
EDGES = 128  # side of the picture whose outlines are compared with the partner's
BORDER = 8  # a border is this part of the smaller picture's 64 pixels wide

Gray: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sight:
    """What the pixels tell, as the networks would get them. Values are 0 to 255."""

    digest: bytes
    """Of the decoded pixels: equal for equal pictures, whatever their files."""
    dhash: int
    """64 bits: does it get brighter to the right? Hardly changes when a picture is resized or saved again."""
    thumb: bytes
    """(16, 16, 3), small enough to keep for all pictures."""
    outlines: bytes
    """(16, 16), where the edges are."""
    brightness: float
    contrast: float
    """Standard deviation over the pixels, of the channel that varies most."""
    border: float
    """Brightness of the outer eighth: the background, mostly."""
    colour: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of one item. Of a broken one that is its `error`; after a quick check there is no `sight`."""

    name: str
    error: str | None = None
    size: tuple[int, int] | None = None
    """Width and height."""
    mode: str = ""
    traits: tuple[str, ...] = ()
    """What is special about the file: animated, cmyk, misnamed, profile, transparent, turned."""
    sight: Sight | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """How well the outlines of a pair agree, and by which part of the side they seem shifted."""

    prominence: float
    """By how many standard deviations they agree better in place than shifted anywhere else."""
    shift: tuple[float, float]
    """Right and down, of B against A; (0, 0) if they lie where they should."""


@dataclass(frozen=True)
class Unit:
    """What is decoded together: one item, or a pair. `channels`: as the networks will see each."""

    items: tuple[Sample, ...]
    channels: tuple[int, ...]
    quick: bool


def look_at(unit: Unit) -> tuple[list[Look], Match | None]:
    """Look at the items of a unit; runs in worker processes."""
    if unit.quick:
        return [_glance(item) for item in unit.items], None
    looks: list[Look] = []
    grays: list[Gray] = []
    for item, opened, channels in zip(unit.items, open_each(unit.items), unit.channels, strict=True):
        try:
            if isinstance(opened, ImageError):
                raise opened
            pixels = _bytes(with_channels(opened, channels))
            looks.append(_look(item, pixels))
            grays.append(_small(luminance(_rgb(pixels)), EDGES)[:, :, 0])
        except ImageError as error:
            looks.append(Look(str(item), str(error)))
    return looks, match(*grays) if len(grays) == 2 else None


def _glance(item: Sample) -> Look:
    """Only the header; what has none is opened to learn why."""
    header = read_header(item)
    size = header.size or item.size()
    if size is not None:
        return Look(str(item), None, size, header.mode, header.traits)
    try:
        pixels = item.open().pixels
    except ImageError as error:
        return Look(str(item), str(error))
    return Look(str(item), None, (pixels.shape[1], pixels.shape[0]))


def _look(item: Sample, pixels: NDArray[np.uint8]) -> Look:
    header = read_header(item)
    height, width = pixels.shape[:2]
    return Look(str(item), None, (width, height), header.mode, header.traits, sight_of(pixels))


def sight_of(pixels: NDArray[np.uint8]) -> Sight:
    """Return what (H, W, C) uint8 tells."""
    small = _small(_rgb(pixels), 64)
    gray = luminance(small)[:, :, 0]
    inner = gray[BORDER:-BORDER, BORDER:-BORDER]
    border = (gray.sum() - inner.sum()) / (gray.size - inner.size)
    steps = np.diff(_box(gray, 8, 9), axis=1) > 0
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    red, green, blue = (float(mean) for mean in small.mean((0, 1)))
    return Sight(
        digest=digest.digest(),
        dhash=int.from_bytes(np.packbits(steps).tobytes(), "big"),
        thumb=np.rint(_box(small, THUMB, THUMB)).astype(np.uint8).tobytes(),
        outlines=_coarse_edges(gray),
        brightness=float(gray.mean()),
        contrast=float(pixels.reshape(-1, pixels.shape[2]).std(0, dtype=np.float32).max()),
        border=float(border),
        colour=(red, green, blue),
    )


def match(a: Gray, b: Gray) -> Match:
    """Compare the outlines of two gray pictures (128, 128): are they alike, and in the same places?"""
    spectra = []
    for gray in (a, b):
        edges = _edges(gray)
        edges = edges - edges.mean()
        spectra.append(np.fft.rfft2(edges / (np.linalg.norm(edges) + 1e-6)))
    overlap = np.fft.irfft2(spectra[0].conj() * spectra[1], a.shape)
    reach = EDGES // 8
    near = np.roll(overlap, (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1]
    down, right = (int(i) - reach for i in np.unravel_index(int(near.argmax()), near.shape))
    here = near[reach - 1 : reach + 2, reach - 1 : reach + 2].max()
    return Match(float((here - overlap.mean()) / (overlap.std() + 1e-9)), (right / EDGES, down / EDGES))


def _edges(gray: Gray) -> Gray:
    down, right = np.gradient(gray)
    strength: Gray = np.minimum(np.hypot(down, right), 40).astype(np.float32)  # one hard edge must not outweigh all
    return strength


def _coarse_edges(gray: Gray) -> bytes:
    coarse: NDArray[np.uint8] = np.rint(_box(_edges(gray), THUMB, THUMB) * (255 / 40)).astype(np.uint8)
    return bytes(coarse.tobytes())


def _bytes(pixels: Pixels) -> NDArray[np.uint8]:
    return pixels if pixels.dtype == np.uint8 else np.rint(pixels * 255).astype(np.uint8)


def _rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return three channels: the first three, or the first one thrice."""
    return pixels[:, :, :3] if pixels.shape[2] >= 3 else np.repeat(pixels[:, :, :1], 3, axis=2)


def _small(pixels: NDArray[np.uint8], side: int) -> Gray:
    """Return (side, side, C) float32, by averaging; the shape of the picture is given up."""
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else np.ascontiguousarray(pixels))
    small = np.asarray(image.resize((side, side), Image.Resampling.BOX), np.float32)
    return small.reshape(side, side, -1)


def _box(values: Gray, rows: int, columns: int) -> Gray:
    """Average a (64, 64) or (64, 64, C) field over rows x columns boxes."""
    edges = [np.linspace(0, 64, n + 1).astype(int)[:-1] for n in (rows, columns)]
    sums = np.add.reduceat(np.add.reduceat(values, edges[0], 0), edges[1], 1)
    counts = [np.diff([*edge, 64]) for edge in edges]
    area = counts[0][:, None] * counts[1][None, :]
    result: Gray = (sums / (area if values.ndim == 2 else area[:, :, None])).astype(np.float32)
    return result


def names_of(looks: Sequence[Look]) -> tuple[str, ...]:
    """Return the names, each once: halves of one file share theirs."""
    return tuple(dict.fromkeys(look.name for look in looks))
