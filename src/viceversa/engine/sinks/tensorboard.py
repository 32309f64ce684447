"""TensorBoard: event files in the run's folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from viceversa.engine.sinks.base import Sink
from viceversa.metrics.base import MissingExtra


class TensorBoard(Sink):
    """Writes RUN/tensorboard. A continued run writes it anew, from its log, so that nothing is doubled or missing."""

    def __init__(self, run: Path, config: Mapping[str, Any], memory: dict[str, Any]) -> None:
        super().__init__(run, config, memory)
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError:
            raise MissingExtra("tensorboard", "log") from None
        folder = run / "tensorboard"
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        self.writer = SummaryWriter(str(folder))

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to each curve."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def picture(self, step: int, path: Path) -> None:
        """Add the sheet."""
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))
        self.writer.add_image("samples", pixels, step, dataformats="HWC")

    def flush(self) -> None:
        """Write what waits."""
        self.writer.flush()

    def close(self) -> None:
        """Close the file."""
        self.writer.close()
