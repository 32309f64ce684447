"""What a decoded picture is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[Any]  # uint8, or float32 in [0, 1]


class ImageError(ValueError):
    """A picture that cannot be used; the message is one line that names the file and what is wrong."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture. `pixels`: (H, W, C) uint8, or float32 in [0, 1]; `alpha`: (H, W) uint8, 0 transparent."""

    pixels: Pixels
    alpha: NDArray[np.uint8] | None = None
    gray: bool = False
    """The source had no colour."""
