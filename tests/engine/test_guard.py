"""What is not finite never reaches the weights; a run that cannot go on goes back, and tells of it."""

import dataclasses
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss
from trees import assert_continues_exactly, each_step, fail, final_state

from support import read_lines
from viceversa import engine, methods, seeds
from viceversa.config import Config
from viceversa.engine.learner import Learner
from viceversa.engine.run_dir import checkpoint_files
from viceversa.methods.base import ImagePool, Method, Networks, Update


class Faulty(Method):
    """Two updates, a pool, batch norm; at chosen steps something is NaN, unless the run went back `cured` times.

    Args:
        at: Steps, counted from 1.
        what: data, loss or gradient.
        cured: Rollbacks after which all is well.
    """

    def __init__(self, make: Networks, *, at: tuple[int, ...] = (), what: str = "loss", cured: int = 1) -> None:
        super().__init__()
        self.G, self.D, self.pool = make.generator("A", "B"), make.discriminator("B"), ImagePool(2)
        self.what = what
        self.bad = {seeds._mixed(seeds.altered(0, n), rank, s - 1) for n in range(cured) for rank in (0, 1) for s in at}

    def step(self, batch: dict[str, Tensor]) -> Iterator[Update]:
        bad = torch.initial_seed() in self.bad
        x, y = batch["A"], batch["B"]
        if bad and self.what == "data":
            x = x.clone()
            x[0, 0, 3, 3] = torch.nan
        fake = self.G(x)
        if bad and self.what == "gradient":
            fake.register_hook(lambda gradient: gradient * torch.nan)
        yield Update("G", l1=l1_loss(fake, y) * (torch.inf if bad and self.what == "loss" else 1))
        yield Update("D", gan=self.D(self.pool(fake)).square().mean() + (self.D(y) - 1).square().mean())

    def groups(self) -> dict[str, list[nn.Module]]:
        return {"G": [self.G], "D": [self.D]}

    def translators(self) -> Any:
        return {"AtoB": self.G}


@pytest.fixture
def faulty(tiny: Any) -> Any:
    def make(*overrides: str, run: str = "run", at: tuple[int, ...] = (), **options: Any) -> Config:
        config = tiny("cyclegan", "generator.norm=batch", *overrides, run=run)
        return dataclasses.replace(config, method={"name": f"{__name__}:Faulty", "at": at, **options})

    return make


def log(config: Config, kind: str) -> list[dict[str, Any]]:
    lines = read_lines(Path(config.run) / "log.jsonl")
    return [line for line in lines if line.get("event", "losses") == kind]


def assert_finite(run: str) -> None:
    state = final_state(run)
    for part in ("method", "ema"):
        assert all(value.isfinite().all() for value in state[part].values())
    assert all(value.isfinite().all() for value in state["own"]["pools"].values())


@pytest.mark.parametrize("what", ["data", "loss", "gradient"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_step_that_is_not_finite_is_skipped(faulty: Any, precision: str, what: str) -> None:
    config = faulty(f"train.precision={precision}", at=(3, 5, 6), what=what)
    engine.train(config)
    assert final_state(config.run)["step"] == 8
    assert_finite(config.run)
    skipped = log(config, "skipped")
    assert log(config, "went back") == []
    assert all(value is not None for line in log(config, "losses") for value in line["losses"].values())
    if precision == "fp16" and what == "gradient":
        return  # indistinguishable from the overflow that the scaler is there for; see the next test
    assert [line["step"] for line in skipped] == [3, 5, 6]
    assert skipped[0]["wrong"] == {"data": ["l1", "gan"], "loss": ["l1"], "gradient": []}[what]
    assert skipped[0]["updates"] == {"data": ["G", "D"], "loss": ["G"], "gradient": ["G"]}[what]
    (picture,) = skipped[0]["pictures"]["A"]
    assert "trainA" in picture
    assert Path(picture).is_file()


def test_a_skipped_update_changes_nothing(faulty: Any) -> None:
    learner = Learner(methods.resolve(faulty(at=(2,), what="data")), 6)
    batch = {world: torch.rand(1, 3, 32, 32) for world in "AB"}
    learner.train_step(batch)
    before = {name: value.clone() for name, value in learner.method.state_dict().items()}
    moments = {k: v.clone() for o in learner.optimizers.values() for k, v in o.state_dict()["state"][0].items()}
    learner.train_step(batch)
    assert all(torch.equal(value, before[name]) for name, value in learner.method.state_dict().items())
    after = {k: v for o in learner.optimizers.values() for k, v in o.state_dict()["state"][0].items()}
    assert all(torch.equal(value, after[name]) for name, value in moments.items())
    learner.train_step(batch)
    assert any(not torch.equal(value, before[name]) for name, value in learner.method.state_dict().items())


def test_the_scalers_own_search_is_no_fault(faulty: Any) -> None:
    """fp16 begins with a scale that overflows; only when the scale is down to 1 is the gradient itself to blame."""
    config = faulty("train.precision=fp16", "train.length=24 steps", at=tuple(range(1, 22)), what="gradient")
    engine.train(config)
    (line,) = log(config, "went back")
    assert [fault["step"] for fault in line["skipped"]] == [17, 18, 19, 20, 21]


def test_after_several_in_a_row_the_run_goes_back(faulty: Any) -> None:
    config = faulty("train.max_skips=3", "train.save_every=4 steps", at=(6, 7, 8), what="loss")
    engine.train(config)
    state = final_state(config.run)
    assert state["step"] == 8
    assert state["nan_guard"]["row"] == []
    (line,) = log(config, "went back")
    assert line["step"] == 4
    assert line["after"] == 8
    assert [fault["step"] for fault in line["skipped"]] == [6, 7, 8]
    assert [line["step"] for line in log(config, "losses")] == [3, 6, 8]
    assert log(config, "skipped") == []  # those steps were undone
    healthy = faulty("train.max_skips=3", "train.save_every=4 steps", run="healthy")
    engine.train(healthy)
    mine, theirs = final_state(config.run)["method"], final_state(healthy.run)["method"]
    assert any(not torch.equal(mine[name], theirs[name]) for name in mine), "the order of the data must be another one"


def test_the_second_time_an_older_checkpoint_is_taken_and_the_rate_is_halved(faulty: Any) -> None:
    constant = ["train.schedule=constant", "train.max_skips=2", "train.max_rollbacks=2"]
    config = faulty(*constant, at=(7, 8), what="data", cured=2)
    engine.train(config)
    assert [line["to"] for line in log(config, "went back")] == [6, 4]
    assert [line["lr"] for line in log(config, "losses")] == [2e-4, 1e-4, 1e-4]


def test_it_gives_up_with_advice(faulty: Any) -> None:
    config = faulty("train.max_skips=2", "train.max_rollbacks=1", at=(5, 6), what="data", cured=9)
    with pytest.raises(ValueError, match=r"step 6: l1.* is not a finite number \(pictures: .*trainA") as failure:
        engine.train(config)
    assert "--fork" in str(failure.value)
    assert_finite(config.run)
    with pytest.raises(ValueError, match="going back to a checkpoint 1 times"):
        engine.train(config)  # as it was
    engine.train(dataclasses.replace(config, train=dataclasses.replace(config.train, max_skips=3)))


@pytest.mark.parametrize("killed", range(5, 12))
def test_a_run_killed_around_a_rollback_continues_exactly(faulty: Any, killed: int) -> None:
    words, options = ["train.max_skips=3", "train.save_every=4 steps"], {"at": (5, 6, 7), "what": "data", "cured": 2}
    calm, broken = (faulty(*words, run=name, **options) for name in ("calm", "broken"))
    die = {"before": lambda learner, number: number == killed and fail(KeyboardInterrupt())}
    assert_continues_exactly(calm, broken, KeyboardInterrupt, **die)
    assert len(log(calm, "went back")) == 2


def test_weights_that_are_not_finite_are_never_saved(tiny: Any) -> None:
    """However they came to be: here something outside spoils a weight, once, and again and again."""

    def spoil(learner: Learner, number: int) -> None:
        if learner.step == 4 and (number == 4 or not once):
            next(iter(learner.groups["G"])).data.fill_(float("inf"))

    for once in (True, False):
        config = tiny("pix2pix", run=f"{once}")
        with each_step(after=spoil), nullcontext() if once else pytest.raises(ValueError, match="a weight is not"):
            engine.train(config)
        assert log(config, "went back")[0]["skipped"][0]["wrong"] == ["a weight"]
        assert_finite(config.run)
    assert [path.name for path in checkpoint_files(Path(config.run) / "checkpoints")] == [
        "step-00000002.pt",
        "step-00000000.pt",
    ]
