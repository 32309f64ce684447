"""Pictures to measure with when no data is named."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image

from viceversa.config import DataConfig

MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def generated(data: DataConfig, folder: Path, count: int = 4) -> DataConfig:
    """Write smooth noise of the loading size into two folders, pair by pair, and return where it is."""
    random = np.random.default_rng(0)
    side = max(data.load, data.crop)
    for world, channels in (("a", data.channels_a), ("b", data.channels_b)):
        (folder / world).mkdir()
        for number in range(count):
            values = random.integers(0, 256, (8, 8, channels), np.uint8)
            picture = Image.fromarray(values[..., 0] if channels == 1 else values, MODES[channels])
            picture.resize((side, side), Image.Resampling.BICUBIC).save(folder / world / f"{number}.png")
    data = dataclasses.replace(data, a=str(folder / "a"), b=str(folder / "b"), layout="paired")
    return dataclasses.replace(data, paired_test=False, test_fraction=0.0)
