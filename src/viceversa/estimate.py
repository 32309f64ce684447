"""How long would a training take on this machine? A few of its own steps, measured."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from itertools import islice

import torch

from viceversa import methods
from viceversa.config import Config
from viceversa.data import open_loader
from viceversa.devices import choose_precision, pick_device
from viceversa.engine.learner import Learner

WARM, MEASURED = 2, 5  # steps


@dataclass(frozen=True)
class Estimate:
    """What a few steps foretell. Whatever else the machine was doing has gone into it."""

    method: str
    device: str
    seconds: float
    """Of a step, with reading its pictures: the median."""
    steps_per_epoch: int
    steps: int
    """Of the whole training."""

    def __str__(self) -> str:
        epoch, whole = (_lasting(self.seconds * steps) for steps in (self.steps_per_epoch, self.steps))
        return (
            f"{self.method} on {self.device}, the machine as busy as now: {self.seconds:.2f} s a step (median of "
            f"{MEASURED}); an epoch of {self.steps_per_epoch} steps takes {epoch}, all {self.steps} steps {whole}"
        )


def estimate(config: Config) -> Estimate:
    """Build what would be trained, do a few steps and throw it away.

    Raises ConfigError as training would.
    """
    config = methods.resolve(config)
    methods.check(config)
    device = pick_device(config.train.device)
    config, _ = choose_precision(config, device)
    stream = open_loader(config)
    methods.check_pairs(config, stream.splits.train.paired)
    epoch = stream.steps_per_epoch()
    learner = Learner(config, epoch, device=device)
    batches = stream.batches(0)
    times = []
    for _ in range(WARM + MEASURED):
        start = time.perf_counter()
        for batch in islice(batches, 1):
            losses = learner.train_step(batch)
            torch.stack([loss.detach().float() for loss in losses.values()]).tolist()  # waits for the device
        times.append(time.perf_counter() - start)
    batches.close()
    seconds = statistics.median(times[WARM:])
    return Estimate(str(config.method["name"]), device.type, seconds, epoch, config.train.length.steps(epoch))


def _lasting(seconds: float) -> str:
    """Return "40 seconds", "12 minutes", "3.5 hours" or "4 days"."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            amount = seconds / length
            return f"{amount:.0f} {unit}" if amount >= 10 else f"{amount:.1f} {unit}"
    return f"{seconds:.0f} seconds"
