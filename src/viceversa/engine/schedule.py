"""The learning rate: a function of the step, with nothing to save."""

from __future__ import annotations

import math

from viceversa.config import TrainConfig


def rate(train: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """Return the factor of the learning rate at `step` (counted from 0).

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
        case "constant":
            return 1.0


def _falls(train: TrainConfig, step: int, steps_per_epoch: int) -> int:
    """Return how often a "step" schedule has fallen: once when decay begins, again after every `step_every` of it."""
    since = step - train.decay_start(steps_per_epoch)
    if since < 0:
        return 0
    return 1 + (since // max(1, train.step_every.steps(steps_per_epoch)) if train.step_every else 0)
