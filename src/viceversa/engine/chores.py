"""What is done every so often during a training: a list, in order, so that one more is one more line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Chore:
    """Something to do after every `every` steps, and after the last; `at_start` also before the first.

    It is done on every rank, so it may talk to the others.
    """

    name: str
    every: int
    do: Callable[[], None]
    at_start: bool = False

    def due(self, step: int, total: int) -> bool:
        """Return whether it is due after `step` of `total` steps."""
        return self.at_start if step == 0 else step == total or step % self.every == 0

    def times(self, step: int, total: int) -> int:
        """Return how often it is still due after `step`, the last step included."""
        planned = total // self.every - step // self.every
        return planned + (step < total and total % self.every != 0)
