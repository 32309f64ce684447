"""The learning rate as a function of the step: nothing to save, nothing to restore."""

from __future__ import annotations

import math

from viceversa.config import TrainConfig


def total_steps(train: TrainConfig, steps_per_epoch: int) -> int:
    """Return the length of the training in steps."""
    return train.length.steps(steps_per_epoch)


def rate(train: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """Return the factor of the learning rate at `step` (counted from 0).

    The rate changes in the unit that `train.decay` is given in: after each epoch, as in the originals, or after each
    step. With n units of decay, the k-th of them (from 1) has the factor 1 - k / (n + 1), so it never reaches zero.
    """
    unit = steps_per_epoch if train.decay.unit == "epochs" else 1
    total = math.ceil(total_steps(train, steps_per_epoch) / unit)
    n = min(train.decay.amount, total)
    k = max(0, step // unit + 1 - (total - n))
    progress = k / (n + 1)
    match train.schedule:
        case "linear":
            return 1 - progress
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * progress))
        case "step":
            return 0.1 if k else 1.0
        case "constant":
            return 1.0
