"""What the pixels of an image tell, in a kilobyte, and how well two images fit."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from viceversa.data.image_data import luminance

THUMB = 16  # side of the small image by which copies are compared
EDGES = 128  # side of the image whose outlines are compared with the partner's
BORDER = 8  # a border is this part of the smaller image's 64 pixels wide

Gray: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sight:
    """What the pixels tell, as the networks would get them. Values are 0 to 255."""

    digest: bytes
    """Of the decoded pixels: equal for equal images, whatever their files."""
    dhash: int
    """64 bits: does it get brighter to the right? Hardly changes when an image is resized or saved again."""
    thumb: bytes
    """(16, 16, 3), small enough to keep for all images."""
    outlines: bytes
    """(16, 16), where the edges are."""
    brightness: float
    contrast: float
    """Standard deviation over the pixels, of the channel that varies most."""
    border: float
    """Brightness of the outer eighth: the background, mostly."""
    colour: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Match:
    """How well the outlines of a pair agree, and by which part of the side they seem shifted."""

    prominence: float
    """By how many standard deviations they agree better in place than shifted anywhere else."""
    shift: tuple[float, float]
    """Right and down, of B against A; (0, 0) if they lie where they should."""


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


def match(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> Match:
    """Compare the outlines of two images (H, W, C): are they alike, and in the same places?"""
    spectra = []
    for pixels in (a, b):
        edges = _edges(_small(luminance(_rgb(pixels)), EDGES)[:, :, 0])
        edges = edges - edges.mean()
        spectra.append(np.fft.rfft2(edges / (np.linalg.norm(edges) + 1e-6)))
    overlap = np.fft.irfft2(spectra[0].conj() * spectra[1], (EDGES, EDGES))
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


def _rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return three channels: the first three, or the first one thrice."""
    return pixels[:, :, :3] if pixels.shape[2] >= 3 else np.repeat(pixels[:, :, :1], 3, axis=2)


def _small(pixels: NDArray[np.uint8], side: int) -> Gray:
    """Return (side, side, C) float32, by averaging; the shape of the image is given up."""
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
