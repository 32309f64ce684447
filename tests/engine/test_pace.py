"""The estimate of the time left, and what must not grow without end."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from viceversa import engine
from viceversa.engine.callbacks import Callback
from viceversa.engine.learner import Learner
from viceversa.engine.pace import Pace


def chore(name: str, every: int) -> Callback:
    return Callback(name, every, lambda: None)


@pytest.mark.parametrize(("every", "total"), [(3, 10), (5, 10), (20, 10), (1, 4)])
def test_a_chore_knows_how_often_it_is_still_due(every: int, total: int) -> None:
    one = chore("save", every)
    for step in range(total + 1):
        assert one.times(step, total) == sum(one.due(later, total) for later in range(step + 1, total + 1))


def test_the_time_left_counts_chores_and_not_pauses() -> None:
    now = 0.0
    pace, save = Pace(lambda: now), chore("save", 10)
    assert pace.left(0, 100, [save]) is None
    for step in range(1, 41):
        now += 2.0 if step != 17 else 3600.0  # the lid was closed
        pace.step()
        if save.due(step, 100):
            with pace.chore("save"):
                now += 5.0 if step != 20 else 900.0
    assert pace.left(40, 100, [save]) == 60 * 2.0 + 6 * 5.0


def test_a_first_step_that_takes_long_does_not_count() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    pace.step()
    for seconds in (1.0, 1.0):
        now += seconds
        pace.step()
    assert pace.left(3, 10, []) == 7.0


@pytest.mark.slow  # 5,000 steps, some minutes
def test_memory_and_open_files_stay_flat(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[int, tuple[int, int, int]] = {}
    train_step = Learner.train_step

    def watched(self: Learner, *arguments: Any, **more: Any) -> Any:
        losses = train_step(self, *arguments, **more)
        if self.step % 1000 == 0:
            gc.collect()
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            tensors = sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())
            seen[self.step] = pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd")), tensors
        return losses

    monkeypatch.setattr(Learner, "train_step", watched)
    every = [f"train.{name}_every=50 steps" for name in ("log", "save", "sample")]
    length = ["train.length=5000 steps", "train.decay=2500 steps", *every, "train.report=false"]
    config = tiny("cyclegan", *length, "data.load=16", "data.crop=16", "method.pool=5", "discriminator.layers=1")
    engine.train(config)
    memory, files, tensors = zip(*(seen[step] for step in (1000, 5000)), strict=True)
    assert memory[1] < memory[0] + 20e6, seen
    assert files[1] <= files[0], seen
    assert tensors[1] <= tensors[0] + 10, seen
    assert len(os.listdir(Path(config.run) / "checkpoints")) == 3
    assert len(os.listdir(Path(config.run) / "samples")) <= 200
