"""How far a translation is from the true answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def psnr(image: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """Return the peak signal-to-noise ratio in dB of two uint8 pictures of the same shape; infinite if equal."""
    error = float(np.mean(np.square(image.astype(np.float64) - truth)))
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def l1(image: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """Return the mean absolute difference of two uint8 pictures of the same shape, as a share of white (0 to 1)."""
    return float(np.mean(np.abs(image.astype(np.float64) - truth))) / 255
