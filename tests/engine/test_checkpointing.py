"""`train.checkpointing` changes nothing but memory and time, so a run may begin without it and continue with it."""

from __future__ import annotations

from typing import Any

import pytest
from trees import assert_equal_runs

from viceversa import engine
from viceversa.methods import METHODS


@pytest.mark.parametrize("method", METHODS)
def test_a_run_may_continue_with_it(method: str, tiny: Any) -> None:
    options = ["train.precision=bf16", "train.channels_last=true", "train.log_every=1 step"]
    options += ["train.schedule=constant", "train.decay=1 step", "data.decay_crop=true"]  # nothing hangs on the length
    plain = tiny(method, *options, "train.length=4 steps", run="plain")
    engine.train(plain)
    engine.train(tiny(method, *options, "train.length=2 steps", run="changed"))
    engine.train(tiny(method, *options, "train.length=4 steps", "train.checkpointing=true", run="changed"))
    assert_equal_runs(plain.run, tiny(method, run="changed").run)
