"""How far a translation is from the true answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def psnr(image: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """Return the peak signal-to-noise ratio in dB of two uint8 pictures of the same shape; infinite if equal."""
    error = float(np.mean(np.square(_difference(image, truth))))
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def l1(image: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """Return the mean absolute difference of two uint8 pictures of the same shape, as a share of white (0 to 1)."""
    return float(np.mean(np.abs(_difference(image, truth)))) / 255


def _difference(image: NDArray[np.uint8], truth: NDArray[np.uint8]) -> NDArray[np.float64]:
    if image.shape != truth.shape or image.dtype != np.uint8 or truth.dtype != np.uint8:
        kinds = f"{image.shape} {image.dtype} and {truth.shape} {truth.dtype}"
        raise ValueError(f"only uint8 pictures of the same shape can be compared, not {kinds}")
    return image.astype(np.float64) - truth
