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
from viceversa.nets.convolutions import Conv3x3

AUTO = ["train.precision=auto", "train.channels_last=auto"]
CPU = torch.device("cpu")


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[Any, float]:
    """Times of the forms, instead of measured ones; every trial is counted under "trials"."""
    times: dict[Any, float] = {("fp32", False): 3.0, ("fp32", True): 2.0, ("bf16", True): 1.0, "trials": 0}
    times["direct"] = 2.0  # times as long as by Winograd's algorithm

    def pretended(config: Config, device: torch.device) -> float:
        times["trials"] += 1
        taken = times[config.train.precision, config.train.channels_last]
        return taken if config.train.winograd else taken * times["direct"]

    monkeypatch.setattr(settle, "seconds_per_step", pretended)
    monkeypatch.setenv("VICEVERSA_CACHE", str(tmp_path / "cache"))
    return times


def form(config: Config) -> tuple[str, bool]:
    return config.train.precision, bool(config.train.channels_last)


def test_the_fastest_form_is_taken_and_remembered(tiny: Any, trials: dict[Any, float]) -> None:
    config, why = settled(tiny("cyclegan", *AUTO), CPU, DistInfo())
    assert form(config) == ("bf16", True)
    assert why == "computing in bf16, channels_last: the fastest of 4 ways tried here, by up to 3.0 times"
    assert trials["trials"] == 4
    assert form(settled(tiny("cyclegan", *AUTO, run="other"), CPU, DistInfo())[0]) == ("bf16", True)
    assert trials["trials"] == 4, "a second run need not try again"
    settled(tiny("cyclegan", *AUTO, "generator.width=5"), CPU, DistInfo())
    assert trials["trials"] == 8, "another network must"


def test_winograd_is_tried_in_bf16(tiny: Any, trials: dict[Any, float]) -> None:
    assert settled(tiny("cyclegan", *AUTO), CPU, DistInfo())[0].train.winograd is True
    trials["direct"] = 0.5
    faster = settled(tiny("cyclegan", *AUTO, "generator.width=5"), CPU, DistInfo())[0].train
    assert (faster.precision, faster.winograd) == ("bf16", False)
    plain = settled(tiny("cyclegan", *AUTO, "train.winograd=true"), CPU, DistInfo())[0].train
    assert (plain.precision, plain.winograd) == ("bf16", True)
    direct = settled(tiny("cyclegan", *AUTO, "train.winograd=false", "train.precision=fp32"), CPU, DistInfo())[0].train
    assert (direct.precision, direct.winograd) == ("fp32", False)


@pytest.mark.parametrize("units", [False, True])
def test_winograd_follows_a_rule_where_nothing_is_tried(
    units: bool, tiny: Any, trials: dict[Any, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "winograd_pays", lambda dtype: dtype != torch.bfloat16 or not units)
    assert settled(tiny("cyclegan", "train.precision=bf16"), CPU, DistInfo())[0].train.winograd is not units
    assert settled(tiny("cyclegan"), CPU, DistInfo())[0].train.winograd is True
    assert settled(tiny("cyclegan", "train.winograd=false"), CPU, DistInfo())[0].train.winograd is False
    assert trials["trials"] == 0


def test_several_processes_follow_the_rule_too(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "winograd_pays", lambda dtype: dtype != torch.bfloat16)
    config = tiny("cyclegan", "train.precision=bf16", "train.channels_last=auto")
    chosen = settled(config, CPU, DistInfo(0, 2))[0].train
    assert (chosen.precision, chosen.channels_last, chosen.winograd) == ("bf16", True, False)


def test_a_run_from_before_there_was_a_choice_goes_on_as_it_was(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny("cyclegan", "train.length=2 steps", "train.decay=1 step", "train.precision=bf16")
    engine.train(config)
    path = Path(config.run) / "config.yaml"
    old = [line for line in path.read_text("utf-8").splitlines() if "winograd:" not in line]
    path.write_text("\n".join(old), "utf-8")
    monkeypatch.setattr(settle, "winograd_pays", lambda dtype: False)  # a machine with matrix units
    longer = tiny("cyclegan", "train.length=3 steps", "train.decay=1 step", "train.precision=bf16")
    engine.train(longer)
    assert load_config(config.run).train.winograd is True


def test_the_learner_computes_as_it_is_told(tiny: Any) -> None:
    for wanted in (True, False, "auto"):
        learner = Learner(tiny("cyclegan", f"train.winograd={str(wanted).lower()}"), 1)
        found = {module.winograd for module in learner.method.modules() if isinstance(module, Conv3x3)}
        assert found == {None if wanted == "auto" else wanted}


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
