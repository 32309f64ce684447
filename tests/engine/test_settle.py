"""`auto` becomes what is fastest, once: the run keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from viceversa import engine
from viceversa.config import Config, load_config
from viceversa.engine import settle
from viceversa.engine.distributed import DistInfo
from viceversa.engine.learner import Learner
from viceversa.engine.settle import settled

AUTO = ["train.precision=auto", "train.channels_last=auto"]
CPU = torch.device("cpu")


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[Any, float]:
    """Times of the forms, instead of measured ones; every trial is counted under "trials"."""
    times: dict[Any, float] = {("fp32", False): 3.0, ("fp32", True): 2.0, ("bf16", True): 1.0, "trials": 0}

    def pretended(config: Config, device: torch.device) -> float:
        times["trials"] += 1
        return times[config.train.precision, config.train.channels_last]

    monkeypatch.setattr(settle, "seconds_per_step", pretended)
    monkeypatch.setenv("VICEVERSA_CACHE", str(tmp_path / "cache"))
    return times


def form(config: Config) -> tuple[str, bool]:
    return config.train.precision, bool(config.train.channels_last)


def test_the_fastest_form_is_taken_and_remembered(tiny: Any, trials: dict[Any, float]) -> None:
    config, why = settled(tiny("cyclegan", *AUTO), CPU, DistInfo())
    assert form(config) == ("bf16", True)
    assert why == "computing in bf16, channels_last: the fastest of 3 ways tried here, by up to 3.0 times"
    assert trials["trials"] == 3
    assert form(settled(tiny("cyclegan", *AUTO, run="other"), CPU, DistInfo())[0]) == ("bf16", True)
    assert trials["trials"] == 3, "a second run need not try again"
    settled(tiny("cyclegan", *AUTO, "generator.width=5"), CPU, DistInfo())
    assert trials["trials"] == 6, "another network must"


def test_bf16_must_be_worth_its_rounding(tiny: Any, trials: dict[Any, float]) -> None:
    trials["bf16", True] = 1.9
    assert form(settled(tiny("cyclegan", *AUTO), CPU, DistInfo())[0]) == ("fp32", True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train.precision=fp32", "train.channels_last=auto"], ("fp32", True)),
        (["train.precision=auto", "train.channels_last=false"], ("fp32", False)),
        (["train.precision=fp64", "train.channels_last=auto"], ("fp64", False)),
        (["train.precision=bf16", "train.channels_last=false"], ("bf16", False)),
    ],
)
def test_what_is_named_is_kept(words: list[str], expected: object, tiny: Any, trials: dict[Any, float]) -> None:
    assert form(settled(tiny("cyclegan", *words), CPU, DistInfo())[0]) == expected


def test_several_processes_do_not_try(tiny: Any, trials: dict[Any, float]) -> None:
    assert form(settled(tiny("cyclegan", *AUTO), CPU, DistInfo(0, 2))[0]) == ("fp32", False)
    assert trials["trials"] == 0


def test_a_run_keeps_its_form(tiny: Any, trials: dict[Any, float]) -> None:
    config = tiny("cyclegan", *AUTO, "train.length=2 steps", "train.decay=1 step")
    engine.train(config)
    assert form(load_config(config.run)) == ("bf16", True)
    trials["bf16", True] = 9.0
    longer = tiny("cyclegan", *AUTO, "train.length=3 steps", "train.decay=1 step")
    engine.train(longer)
    assert form(load_config(config.run)) == ("bf16", True)


def test_a_real_trial_takes_real_steps(tiny: Any) -> None:
    config = tiny("cyclegan", "train.precision=bf16", "train.channels_last=true")
    assert 0 < settle.seconds_per_step(config, CPU) < 60


def test_nobody_trains_with_auto_by_mistake(tiny: Any) -> None:
    with pytest.raises(ValueError, match="only a run's start settles it"):
        Learner(tiny("cyclegan", *AUTO), 1)
