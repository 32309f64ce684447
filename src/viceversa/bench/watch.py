"""A learner that looks at the clock."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from viceversa.bench.peaks import synchronise
from viceversa.config import Config
from viceversa.engine.learner import Learner
from viceversa.methods.base import Batch, Update


class Watched(Learner):
    """Notes where a step's time goes: `phases` holds seconds by name, summed over the steps since `restart`."""

    def __init__(self, config: Config, device: torch.device) -> None:
        super().__init__(config, steps_per_epoch=1000, device=device)
        self.phases: defaultdict[str, float] = defaultdict(float)
        self.mark = 0.0
        for optimizer in self.optimizers.values():
            optimizer.register_step_pre_hook(self._before_optimiser)
            optimizer.register_step_post_hook(self._after_optimiser)

    def train_step(self, batch: Batch, stop: bool = False) -> dict[str, Tensor]:
        """Carry out one step, under observation."""
        start = self._now()
        losses = super().train_step(batch, stop)
        total = self._now() - start
        self.phases["step"] += total
        return losses

    def _now(self) -> float:
        synchronise(self.device)
        return time.perf_counter()

    def _advance(self, updates: Iterator[Update]) -> Update | None:
        start = self._now()
        update = super()._advance(updates)
        self.phases["forward"] += self._now() - start
        return update

    def _carry_out(self, update: Update, stop: bool = False) -> None:
        start, before = self._now(), self.phases["optimiser"]
        super()._carry_out(update, stop)
        self.phases[f"backward {update.group}"] += self._now() - start - (self.phases["optimiser"] - before)

    def _before_optimiser(self, *_: Any) -> None:
        self.mark = self._now()

    def _after_optimiser(self, *_: Any) -> None:
        self.phases["optimiser"] += self._now() - self.mark
