"""How long a training still takes, said honestly: from what its steps and its chores really took."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from viceversa.engine.callbacks import Callback

STEPS, TIMES = 200, 5  # how many of the last durations count


class Pace:
    """The durations of the last steps, and of the last times each chore was done.

    Medians are taken, so that a laptop that slept or a process that was paused does not change the estimate.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.steps: deque[float] = deque(maxlen=STEPS)
        self.callbacks: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=TIMES))
        self._since: float | None = None

    def step(self) -> None:
        """A step is done; it began when the one before it, or the chores after that, ended."""
        now = self.clock()
        if self._since is not None:  # the first step of a process also starts its workers, and compiles
            self.steps.append(now - self._since)
        self._since = now

    @contextmanager
    def chore(self, name: str) -> Iterator[None]:
        """Take the time of a chore."""
        begun = self.clock()
        yield
        self._since = self.clock()
        self.callbacks[name].append(self._since - begun)

    def left(self, step: int, total: int, chores: Sequence[Callback]) -> float | None:
        """Return the seconds that the steps after `step`, and all chores among them, will take; None: not known yet."""
        if not self.steps:
            return None
        seconds = (total - step) * statistics.median(self.steps)
        for chore in chores:
            if done := self.callbacks.get(chore.name):
                seconds += chore.times(step, total) * statistics.median(done)
        return seconds
