"""What is done every so often during a training: a list, in order, so that one more is one more line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Callback:
    """Something to do after every `every` steps, and after the last; also after step `early`, 0 being the start.

    It is done on every rank, so it may talk to the others.
    """

    name: str
    every: int
    do: Callable[[], None]
    early: int | None = None

    def due(self, step: int, total: int) -> bool:
        """Return whether it is due after `step` of `total` steps."""
        return step == self.early or (step > 0 and (step == total or step % self.every == 0))

    def times(self, step: int, total: int) -> int:
        """Return how often it is still due after `step`, the last step included."""
        planned = total // self.every - step // self.every
        return planned + (step < total and total % self.every != 0)
