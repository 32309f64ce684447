"""What every sink promises: a place outside the run's folder, or a format of somebody else's, where a run is shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Sink(ABC):
    """Shows numbers and sample sheets by step. It is fed from the run's own log, never the other way round.

    `memory` is what it wants to know again when the run continues: plain values, kept in the run's folder.
    """

    last: int = -1
    """The newest step that it has; only later ones are sent."""

    def __init__(self, run: Path, config: Mapping[str, Any], memory: dict[str, Any]) -> None:
        self.run, self.config, self.memory = run, config, memory

    @abstractmethod
    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Show numbers by name: `loss/gan_G`, `lr`, `AtoB/kid[inception]`."""

    @abstractmethod
    def picture(self, step: int, path: Path) -> None:
        """Show a sample sheet, a PNG file."""

    @abstractmethod
    def flush(self) -> None:
        """See that all that was shown so far survives the death of this process."""

    @abstractmethod
    def close(self) -> None:
        """Come to an end, of this process if not of the run."""
