"""What the built-in data set is painted with: smooth steps, smooth noise, colours as planes.

Pictures are drawn as planes (3, n, n) of linear light, n a few times the size wanted, and brought to sRGB at the end.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]  # float32, which numpy's types lose sight of
Colour: TypeAlias = tuple[float, float, float]


def numbers(*key: int) -> np.random.Generator:
    """Return random numbers that follow from integers alone, on every machine."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def step(x: Array, low: float, high: float) -> Array:
    """Smooth step from 0 at `low` to 1 at `high`."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def clouds(rng: np.random.Generator, n: int, rows: int, columns: int) -> Array:
    """Smooth noise, n x n, standard normal at heart: random values on a grid, joined by Gaussian weights."""
    weights = []
    for cells in (rows, columns):
        distance = np.linspace(0, cells - 1, n)[:, None] - np.arange(cells)
        bell = np.exp(-(distance**2) / 0.5).astype(np.float32)
        weights.append(bell / bell.sum(1, keepdims=True))
    return weights[0] @ rng.standard_normal((rows, columns), np.float32) @ weights[1].T


def planes(colour: Colour) -> Array:
    """A colour, shaped to multiply colour planes (3, n, n)."""
    return np.asarray(colour, np.float32).reshape(3, 1, 1)


def grid_of(n: int) -> tuple[Array, Array]:
    """Return the places of n x n samples in a frame of side 1: x (1, n) to the right, y (n, 1) downwards."""
    axis = ((np.arange(n) + 0.5) / n).astype(np.float32)
    return axis[None, :], axis[:, None]


def samples(size: int) -> int:
    """Return how many samples a pixel has along each axis, against jagged edges."""
    return 3 if size <= 96 else 2


def develop(light: Array, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Turn planes of linear light (3, n, n) into a picture (size, size, 3) in sRGB, with the grain of a camera."""
    fold = light.shape[-1] // size
    image = np.sqrt(np.clip(light.reshape(3, size, fold, size, fold).mean((2, 4)), 0, 1)).transpose(1, 2, 0)
    image = image + rng.normal(0, 0.008, image.shape)
    return np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)
