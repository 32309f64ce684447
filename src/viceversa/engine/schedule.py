"""The learning rate: a function of the step, with nothing to save; except for the plateau, which watches the losses."""

from __future__ import annotations

import math

from viceversa.config import TrainConfig


def rate(train: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """Return the factor of the learning rate at `step` (counted from 0); `Plateau` knows that of a plateau.

    The rate changes in the unit that `train.decay` is given in: after each epoch, as in the originals, or after each
    step. With n units of decay, the k-th of them (from 1) has the factor 1 - k / (n + 1), so it never reaches zero.
    """
    unit = steps_per_epoch if train.decay.unit == "epochs" else 1
    total = math.ceil(train.length.steps(steps_per_epoch) / unit)
    n = min(train.decay.amount, total)
    k = max(0, step // unit + 1 - (total - n))
    progress = k / (n + 1)
    match train.schedule:
        case "linear":
            return 1 - progress
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * progress))
        case "step":
            return 0.1 ** _falls(train, step, steps_per_epoch)
        case "constant" | "plateau":
            return 1.0


def _falls(train: TrainConfig, step: int, steps_per_epoch: int) -> int:
    """Return how often a "step" schedule has fallen: once when decay begins, again after every `step_every` of it."""
    since = step - train.decay_start(steps_per_epoch)
    if since < 0:
        return 0
    return 1 + (since // max(1, train.step_every.steps(steps_per_epoch)) if train.step_every else 0)


class Plateau:
    """The factor of a learning rate that falls to a fifth whenever the generator's losses stop falling.

    The losses are averaged over windows of a fifth of `train.decay`. When more than five windows in a row were not 1 %
    below the best one before, the rate falls, as with torch's `ReduceLROnPlateau(patience=5)`.
    """

    WINDOWS, FALL, THRESHOLD = 5, 0.2, 0.01

    def __init__(self, train: TrainConfig, steps_per_epoch: int) -> None:
        self.window = max(1, train.decay.steps(steps_per_epoch) // self.WINDOWS)
        self.factor, self.best, self.sum = 1.0, math.inf, 0.0
        self.count = self.bad = 0

    def watch(self, loss: float) -> None:
        """Take the generator's loss of a step, the same on all ranks; at the end of a window, judge.

        The step of a loss that is not finite was skipped, and does not count.
        """
        if not math.isfinite(loss):
            return
        self.sum, self.count = self.sum + loss, self.count + 1
        if self.count < self.window:
            return
        mean, self.sum, self.count = self.sum / self.count, 0.0, 0
        if self.best == math.inf or mean < self.best - self.THRESHOLD * abs(self.best):
            self.best, self.bad = mean, 0
        else:
            self.bad += 1
        if self.bad > self.WINDOWS:
            self.factor, self.bad = self.factor * self.FALL, 0

    def state_dict(self) -> dict[str, float]:
        """Return what the next judgement depends on."""
        return {key: value for key, value in vars(self).items() if key != "window"}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Return to a saved state."""
        vars(self).update({key: state[key] for key in self.state_dict()})
