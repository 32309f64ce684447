"""A training that fits into a given time: what is chosen, kept and refused. The clock and the steps are made up."""

import dataclasses
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from trees import assert_equal_runs, each_step, fail

from support import read_lines
from viceversa import engine, methods
from viceversa.config import Config, ConfigError, load_config
from viceversa.data import find_splits
from viceversa.engine import budget

HOUR = 3600.0


def cost(scale: float) -> Callable[[Config], float]:
    """A machine on which a step takes time for its pixels, channels and images."""
    return lambda c: scale * (c.data.crop / 64) ** 2 * (c.generator.get("width", 32) / 32) ** 2 * c.train.batch**0.5


def chosen(scale: float, seconds: float = HOUR, *fixed: str, preset: str = "cyclegan") -> Config:
    config = methods.resolve(load_config(preset, ["data.root=photos", *fixed]))
    clock: Iterator[int] = count()
    keys = [word.partition("=")[0] for word in fixed]
    found = budget.candidates(config, keys, largest=160)
    return budget.choose(found, seconds, keys, cost(scale), lambda: float(next(clock)))[0]


def what(config: Config) -> tuple[int, int, int]:
    return config.data.crop, config.generator["width"], config.train.batch


@pytest.mark.parametrize(
    ("scale", "expected"),
    [(10.0, (64, 32, 1)), (0.25, (96, 32, 1)), (0.1, (128, 32, 1)), (0.012, (128, 64, 1)), (0.0017, (128, 64, 2))],
)
def test_more_time_buys_size_then_width_then_batch(scale: float, expected: tuple[int, int, int]) -> None:
    config = chosen(scale)
    assert what(config) == expected
    assert config.data.load == round(286 / 256 * config.data.crop)
    taken = config.train.length.amount * cost(scale)(config)
    assert 0.95 * HOUR < taken < HOUR
    assert config.train.decay.amount == pytest.approx(config.train.length.amount / 2, abs=1), "as in the preset"
    assert config.train.sample_every.amount == config.train.length.amount // 20
    assert config.train.budget is None


def test_what_was_given_is_never_changed() -> None:
    config = chosen(0.001, HOUR, "data.crop=200", "data.load=200", "train.batch=3", "train.save_every=7 steps")
    assert (*what(config), config.data.load, str(config.train.save_every)) == (200, 64, 3, 200, "7 steps")
    assert what(chosen(0.08, HOUR, "generator.width=48")) == (96, 48, 1)
    assert what(chosen(0.0001, HOUR, preset="style")) == (128, 32, 4), "nor is a network wider than its recipe"


def test_a_network_of_one_size_keeps_it() -> None:
    deep = "generator={name: unet, depth: 7}"
    config = methods.resolve(load_config("cyclegan", ["data.root=photos", deep]))
    assert {candidate.data.crop for candidate in budget.candidates(config, [], 160)} == {128}
    with pytest.raises(ConfigError, match="no size suits"):
        chosen(1.0, HOUR, "generator={name: unet, depth: 9}")


@pytest.fixture
def planned(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Config]:
    """Runs whose steps take, it is said, four seconds: a minute has room for some dozen."""
    monkeypatch.setattr(budget, "RUNGS", ((32, 4),))
    monkeypatch.setattr(budget, "step_seconds", lambda *_: 4.0)

    def make(run: str) -> Config:
        return with_budget(tiny("cyclegan", run=run))

    return make


def with_budget(config: Config) -> Config:
    return dataclasses.replace(config, train=dataclasses.replace(config.train, budget="1 minute"))


FIXED = ["train.save_every", "train.sample_every"]


def test_the_run_is_an_ordinary_one_and_is_continued_without_measuring(
    planned: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    calm, killed = planned("calm"), planned("killed")
    engine.train(calm, fixed=FIXED)
    kept = load_config(calm.run)
    assert kept.train.budget is None
    assert 10 < kept.train.length.amount < 15
    rates = [line["lr"] for line in read_lines(Path(calm.run) / "log.jsonl")]
    assert rates[-1] < 0.25 * rates[0]
    with (
        each_step(after=lambda learner, number: number == 5 and fail(RuntimeError("killed"))),
        pytest.raises(RuntimeError),
    ):
        engine.train(killed, fixed=FIXED)
    monkeypatch.setattr(budget, "step_seconds", lambda *_: pytest.fail("it measured again"))
    engine.train(killed, fixed=FIXED)
    assert_equal_runs(calm.run, killed.run)


def test_steps_are_measured(tiny: Any) -> None:
    config = methods.resolve(tiny("cyclegan"))
    splits = find_splits(config.data)
    assert budget.short_side(splits.train) == 32
    assert 0 < budget.step_seconds(config, splits, torch.device("cpu")) < 60


@pytest.mark.parametrize("word", ["train.budget=10", "train.budget=0 hours", "train.budget=ten minutes"])
def test_what_is_no_time_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match="10 minutes"):
        load_config(None, [word])


def test_a_length_and_a_budget_exclude_each_other_and_a_fork_has_none(tiny: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.length exclude"):
        load_config(None, ["train.budget=1 hour", "train.length=9 steps"])
    with pytest.raises(ConfigError, match="plans new runs"):
        engine.train(with_budget(tiny("cyclegan")), tmp_path / "new")
