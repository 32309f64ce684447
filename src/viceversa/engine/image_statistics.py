"""Cheap signs of what goes wrong in a training, read off a few pictures. Pictures are float (N, H, W, C) in [-1, 1]."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Pictures: TypeAlias = NDArray[np.floating[Any]]


def brightness(pictures: Pictures) -> Pictures:
    """Return (N, H, W): the mean over the channels."""
    return np.asarray(pictures.mean(-1))


def likeness(one: Pictures, other: Pictures) -> Pictures:
    """Return the correlation of the brightness of two sets, picture by picture, (N,); 0 for flat pictures."""
    a, b = (brightness(p).reshape(len(p), -1) for p in (one, other))
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.where(norms > 1e-6, (a * b).sum(1) / np.maximum(norms, 1e-6), 0.0)


def tint(pictures: Pictures) -> Pictures:
    """Return the mean colour of a set without its brightness, (C,)."""
    mean = pictures.mean((0, 1, 2))
    return np.asarray(mean - mean.mean())


def diversity(pictures: Pictures) -> float:
    """Return the mean distance of any two pictures of a set, seen from afar (8 x 8 areas)."""
    small = _areas(pictures, 8).reshape(len(pictures), -1)
    distances = np.abs(small[:, None] - small[None]).mean(-1)
    return float(distances.sum() / max(1, len(pictures) * (len(pictures) - 1)))


def saturation(pictures: Pictures) -> float:
    """Return the share of values at the ends of their range."""
    return float((np.abs(pictures) > 0.98).mean())


def stripes(pictures: Pictures) -> float:
    """Return how much stronger than their neighbours the frequencies of strides 2 and 4 are (in nats).

    Transposed convolutions leave a checkerboard or a bar code of periods 2 and 4 pixels (Odena et al., 2016): lines at
    those frequencies in the spectrum, whatever the picture shows. Natural pictures have about 0.
    """
    gray = brightness(pictures)
    gray = gray - gray.mean((1, 2), keepdims=True)
    window = np.hanning(gray.shape[1])[:, None] * np.hanning(gray.shape[2])
    power = np.abs(np.fft.fft2(gray * window)) ** 2
    worst = -np.inf
    for axis in (1, 2):
        rows = np.log(power.mean((0, 3 - axis)) + 1e-9)
        size = len(rows)
        for line in (size // 2, size // 4):
            around = [rows[line + far] for far in (-5, -4, -3)]
            around += [rows[line + far] for far in (3, 4, 5)] if line < size // 2 else []
            worst = max(worst, rows[line] - float(np.mean(around)))
    return float(worst)


def _areas(pictures: Pictures, side: int) -> Pictures:
    """Return (N, side, side, C) means; smaller pictures stay as they are."""
    height, width = (length // side * side for length in pictures.shape[1:3])
    if not (height and width):
        return pictures
    cut = pictures[:, :height, :width]
    return np.asarray(cut.reshape(len(cut), side, height // side, side, width // side, cut.shape[-1]).mean((2, 4)))
