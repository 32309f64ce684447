"""Measuring during a training, and keeping the weights that measured best beside the last ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from viceversa.config import ConfigError, Direction
from viceversa.data import TrainLoader
from viceversa.data.test_images import TestImages
from viceversa.engine.callbacks import Callback
from viceversa.engine.learner import Learner
from viceversa.engine.report import Report
from viceversa.engine.results import save_best
from viceversa.engine.validation import Evaluation, Line, lines
from viceversa.metrics import Metric, Tools, make


def judging(stream: TrainLoader, learner: Learner, report: Report, per_epoch: int) -> list[Callback]:
    """Return the chore of measuring and reporting, if `train.evaluate_every` asks for it. Raises what `Judge` does."""
    every = learner.train.evaluate_every.steps(per_epoch)
    if not every:
        return []
    judge = Judge(stream, learner)
    return [Callback("evaluate", every, lambda: report.scores(learner.step, per_epoch, judge.judge()))]


class Judge:
    """Scores the averaged translators every so often; a training with a judge computes the same as one without.

    The best weights of each direction are those with the best value of `train.best_by` in the run's metrics.jsonl. So
    the log is all the memory a judge has, and a continued run remembers exactly what the log remembers. Raises
    ConfigError or ValueError for what cannot be measured.
    """

    def __init__(self, stream: TrainLoader, learner: Learner) -> None:
        config, self.learner = learner.config, learner
        self.run = Path(config.run)
        self.weights = "ema" if config.train.ema else "raw"
        pictures = TestImages(stream.splits, config)
        metrics = make(config.train.metrics, Tools(seed=config.seed, device=learner.device))
        wanted = {metric.name for metric in metrics if metric.reference == "truth"}
        if wanted and not pictures.paired:
            raise ConfigError(f"train.metrics: {', '.join(sorted(wanted))} need paired test pictures; take kid instead")
        fewest = min(pictures.count("A"), pictures.count("B"))
        if fewest < 4 and any(metric.reference == "real" for metric in metrics):
            raise ConfigError(f"train.metrics: {fewest} test pictures are too few for KID or FID; it takes 4")
        self.by = _by(config.train.best_by, metrics)
        self.evaluation = Evaluation(pictures, metrics, learner.dist, learner.device)
        self.protocol: dict[str, Any] = {
            "by": "training",
            "ema": config.train.ema,
            "split": "train" if pictures.of_training else "test",
            "size": config.data.crop,
            "resize": config.data.resize,
        }

    def judge(self) -> list[Line]:
        """Return the scores as lines of metrics.jsonl (on rank 0), and keep the weights that are better than ever."""
        found: list[Line] = []
        for direction, scores in self.evaluation.scores(self.learner.ema.translators()).items():
            new = lines(direction, scores, self.learner.step, self.weights, self.protocol)
            for line in new:
                if line["metric"] == self.by.name and line["value"] is not None:
                    self._keep_if_best(direction, line["value"])
            found += new
        return found

    def _keep_if_best(self, direction: Direction, value: float) -> None:
        """Write the weights, before the log says so: after a crash in between, the continued run writes them again."""
        before = [
            line["value"]
            for line in _read(self.run / "metrics.jsonl")
            if line["direction"] == direction
            and line["metric"] == self.by.name
            and line["protocol"].get("by") == "training"
            and line["value"] is not None
        ]
        if all(value > other if self.by.higher_is_better else value < other for other in before):
            save_best(self.run, self.learner, direction, {self.by.name: value})


def _by(name: str, metrics: list[Metric]) -> Metric:
    """Return the metric that decides; ConfigError if it is not measured, or none is."""
    if not metrics:
        raise ConfigError("train.metrics: names nothing to measure; take [kid], or train.evaluate_every=0 steps")
    found = [metric for metric in metrics if name in ("", metric.name, metric.name.partition("[")[0])]
    if not found:
        measured = ", ".join(metric.name for metric in metrics)
        raise ConfigError(f"train.best_by={name}: is not among train.metrics ({measured})")
    return found[0]


def _read(path: Path) -> list[Line]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
