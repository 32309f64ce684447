"""Validation during a training: it changes nothing in it, is continued exactly, and keeps the best weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from support import read_lines
from viceversa import engine
from viceversa.config import ConfigError
from viceversa.engine.run_dir import checkpoint_files
from viceversa.evaluate import evaluate_model
from viceversa.metrics.base import MetricValue
from viceversa.metrics.paired import Paired
from viceversa.nets.weights import read_card
from viceversa.translator import Translator

ON = ["train.evaluate_every=3 steps", "train.metrics=[l1,cycle]", "data.paired_test=true"]


def lines(run: str | Path, name: str) -> list[dict[str, Any]]:
    return read_lines(Path(run) / name)


def weights(run: str | Path, name: str = "AtoB") -> dict[str, torch.Tensor]:
    return load_file(Path(run) / "weights" / f"{name}.safetensors")


def test_a_training_with_validation_computes_the_same(tiny: Any) -> None:
    judged = tiny("cyclegan", *ON, "train.metrics=[kid,l1,cycle]", run="judged")
    alone = tiny("cyclegan", "data.paired_test=true", run="alone")
    engine.train(judged)
    engine.train(alone)
    assert lines(alone.run, "log.jsonl") == [x for x in lines(judged.run, "log.jsonl") if "losses" in x]
    assert all(torch.equal(value, weights(judged.run)[key]) for key, value in weights(alone.run).items())
    assert not (Path(alone.run) / "metrics.jsonl").exists()


def test_scores_are_logged_and_are_those_of_evaluate(tiny: Any) -> None:
    config = tiny("cyclegan", *ON, "train.best_by=cycle")
    engine.train(config)
    found = lines(config.run, "metrics.jsonl")
    assert [line["step"] for line in found] == [3] * 4 + [6] * 4 + [8] * 4
    again = evaluate_model(Path(config.run), metrics=["l1", "cycle"], device="cpu")
    for during, after in zip(found[-4:], again, strict=True):
        assert during["value"] == pytest.approx(after["value"], rel=1e-6)
        assert during["baseline"] == after["baseline"]
        assert (during["weights"], during["protocol"]["by"]) == ("ema", "training")
    short = [line for line in lines(config.run, "log.jsonl") if "metrics" in line]
    assert [line["step"] for line in short] == [3, 6, 8]
    assert short[-1]["metrics"]["BtoA"]["cycle"] == found[-1]["value"]


def test_the_best_weights_are_kept_beside_the_last(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the networks do, this measure is best at step 6 for one direction and at step 3 for the other."""
    script = {"AtoB": iter([0.5, 0.1, 0.3]), "BtoA": iter([0.2, 0.2, 0.4])}
    calls: list[str] = []

    honest = Paired.compute

    def compute(self: Any, statistics: Any, real: Any = None) -> MetricValue:
        if self.name != "l1":
            return honest(self, statistics)
        calls.append("")
        direction = "AtoB" if (len(calls) - 1) % 6 < 3 else "BtoA"  # translation, input, mean, for each direction
        return MetricValue(next(script[direction]) if (len(calls) - 1) % 3 == 0 else 1.0)

    monkeypatch.setattr(Paired, "compute", compute)
    config = tiny("cyclegan", *ON, "train.metrics=[l1]")
    engine.train(config)
    run = Path(config.run)
    cards = [read_card(run / "weights" / f"best-{direction}.safetensors") for direction in ("AtoB", "BtoA")]
    assert [card.trained["step"] for card in cards] == [6, 3]
    assert [card.trained["scores"] for card in cards] == [{"l1": 0.1}, {"l1": 0.2}]
    picture = np.zeros((32, 32, 3), np.uint8)
    best, last = (Translator.load(run, "AtoB", best=best) for best in (True, False))
    assert best.card.trained["step"] == 6
    assert last.card.trained["step"] == 8
    assert not np.array_equal(best(picture), last(picture))
    assert evaluate_model(run, metrics=["cycle"], device="cpu", best=True)[0]["step"] == 6


def test_a_continued_run_remembers_its_best(tiny: Any) -> None:
    """Killed after step 7, with a checkpoint of step 6: what lies beyond that is measured again, and only that."""
    options = [*ON, "train.save_every=3 steps", "train.schedule=constant", "train.evaluate_every=2 steps"]
    calm, paused = (tiny("cyclegan", *options, run=name) for name in ("calm", "paused"))
    engine.train(calm)
    engine.train(tiny("cyclegan", *options, "train.length=7 steps", run="paused"))
    folder = Path(paused.run) / "checkpoints"
    checkpoint_files(folder)[0].unlink()
    engine.train(paused)
    assert (Path(calm.run) / "metrics.jsonl").read_text() == (Path(paused.run) / "metrics.jsonl").read_text()
    assert (Path(calm.run) / "log.jsonl").read_text() == (Path(paused.run) / "log.jsonl").read_text()
    for direction in ("AtoB", "BtoA"):
        one, other = (weights(run, f"best-{direction}") for run in (calm.run, paused.run))
        assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["train.metrics=[psnr]", "data.paired_test=false"], r"psnr: .*data\.paired_test=true"),
        (["train.best_by=fid"], r"train\.best_by=fid: is not among train\.metrics \(l1, cycle\)"),
        (["train.metrics=[]"], r"train\.metrics: names nothing to measure"),
        (["train.metrics=[mse]"], "mse: no such metric"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_training(tiny: Any, options: list[str], says: str) -> None:
    config = tiny("cyclegan", *ON, *options)
    with pytest.raises((ConfigError, ValueError), match=says):
        engine.train(config)
    assert not (Path(config.run) / "config.yaml").exists()
