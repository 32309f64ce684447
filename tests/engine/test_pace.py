"""What must not grow without end."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from viceversa import engine
from viceversa.engine.learner import Learner


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
