"""Scores of translators on the test images: for `viceversa evaluate`, and every so often during a training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from viceversa.config import ConfigError, Direction
from viceversa.data.datasets import DatasetSplits
from viceversa.data.eval_set import EvalSet
from viceversa.data.image_data import ImageData, from_tensor, with_channels
from viceversa.devices import layout_of
from viceversa.engine.checkpoint import save_best
from viceversa.engine.learner import Learner
from viceversa.engine.run_dir import MetricLine, RunDir, read_lines
from viceversa.methods.base import Translators
from viceversa.metrics import make_metrics
from viceversa.metrics.base import Metric, MetricCollection, RGBImage, ScoreLine
from viceversa.nets.base import BATCH_PIXELS

BATCH = 16  # images that are read, translated and measured at a time


class Validation:
    """Scores the averaged translators and keeps the best ones; a training computes the same with it and without.

    The best weights of each direction are those with the best value of `train.best_by` in the run's metrics.jsonl. So
    the log is all the memory there is, and a continued run remembers exactly what the log remembers. Raises ConfigError
    or ValueError for what cannot be measured.
    """

    def __init__(self, splits: DatasetSplits, learner: Learner) -> None:
        config, self.learner = learner.config, learner
        self.run_dir = RunDir(config.run)
        test_images = EvalSet(splits, config)
        metrics = make_metrics(config.train.metrics, seed=config.seed, device=learner.device)
        self.best_by = _best_by(config.train.best_by, metrics)
        self.evaluation = Evaluation(test_images, metrics, learner.device)
        self.protocol = {"by": "training", "ema": config.train.ema, **describe(test_images)}

    def run(self) -> list[ScoreLine]:
        """Return the scores as lines of metrics.jsonl, and keep the weights that are better than ever."""
        weights = "ema" if self.learner.train.ema else "raw"
        found: list[ScoreLine] = []
        for direction, scores in self.evaluation.scores(self.learner.ema.translators()).items():
            lines = metric_lines(direction, scores, self.learner.step, weights, self.protocol)
            for line in lines:
                if line["metric"] == self.best_by.name and line["value"] is not None:
                    self._keep_if_best(direction, line["value"])
            found += lines
        return found

    def _keep_if_best(self, direction: Direction, value: float) -> None:
        """Write the weights, before the log says so: after a crash in between, the continued run writes them again."""
        before = [
            line["value"]
            for line in read_lines(self.run_dir.metrics, MetricLine)
            if (line["direction"], line["metric"]) == (direction, self.best_by.name)
            and (line.get("protocol") or {}).get("by") == "training"
            and line["value"] is not None
        ]
        if all(value > other if self.best_by.higher_is_better else value < other for other in before):
            save_best(self.run_dir, self.learner, direction, {self.best_by.name: value})


def _best_by(name: str, metrics: Sequence[Metric]) -> Metric:
    """Return the metric that decides; ConfigError if it is not measured, or none is."""
    if not metrics:
        raise ConfigError("train.metrics: names nothing to measure; take [kid], or train.evaluate_every=0 steps")
    found = [metric for metric in metrics if name in ("", metric.name, metric.name.partition("[")[0])]
    if not found:
        measured = ", ".join(metric.name for metric in metrics)
        raise ConfigError(f"train.best_by={name}: is not among train.metrics ({measured})")
    return found[0]


class Evaluation:
    """Scores translators on the test images.

    Neither the random numbers of a training nor its networks are touched. What does not depend on the translators (the
    real images, the baselines) is measured in the first round and remembered. Raises ConfigError for metrics that the
    test images do not suit.
    """

    def __init__(
        self,
        test_images: EvalSet,
        metrics: Sequence[Metric],
        device: torch.device = torch.device("cpu"),
    ) -> None:
        self.test_images, self.metrics, self.device = test_images, metrics, device
        self.references = {metric.reference for metric in metrics}
        compared = ", ".join(metric.name for metric in metrics if metric.reference == "truth")
        if compared and not test_images.paired:
            raise ConfigError(
                f"{compared}: the test images are not paired; ask for kid, or set data.paired_test=true if images of "
                "the same name belong together"
            )
        fewest = min(test_images.count("A"), test_images.count("B"))
        if demanding := [metric for metric in metrics if metric.fewest > fewest]:
            name, needed = demanding[0].name, demanding[0].fewest
            raise ConfigError(f"{name}: needs {needed} test images of each domain, and there are {fewest}; omit it")
        self.collections: dict[Direction, MetricCollection] = {}
        self.originals: dict[tuple[str, str], dict[int, Tensor]] = {}
        self.means: dict[Direction, RGBImage | None] = {}

    def scores(self, translators: Translators) -> dict[Direction, list[ScoreLine]]:
        """Return the scores of every direction."""
        found = {}
        for direction, net in translators.items():
            source, target = direction.split("to")
            if direction not in self.collections:
                self._begin(direction, source, target)
            back = translators.get(f"{target}to{source}")  # type: ignore[call-overload]
            self._update(direction, source + target, net, back if "input" in self.references else None)
            found[direction] = self.collections[direction].compute()
        return found

    def _begin(self, direction: Direction, source: str, target: str) -> None:
        """Measure the real images. Those of one direction are the inputs of the other, so they share statistics."""
        collection = self.collections[direction] = MetricCollection(self.metrics)
        for metric in self.metrics:
            if metric.reference == "real":
                for candidate, domain in (("input", source), ("real", target)):
                    rows = self.originals.setdefault((metric.measures, domain), {})
                    collection.statistics[metric.measures, candidate] = rows  # type: ignore[index]
        if "real" in self.references:
            for numbers, (images,) in self._batches(target):
                collection.update("real", numbers, [to_rgb(image) for image in images])
        compared = self.test_images.paired and "truth" in self.references
        self.means[direction] = self._mean(target) if compared else None

    def _update(self, direction: Direction, domains: str, net: nn.Module, back: nn.Module | None) -> None:
        """Measure translations, and the baselines if they have not been."""
        collection, mean = self.collections[direction], self.means[direction]
        collection.reset("translation", "cycle")
        for numbers, (inputs, *truth) in self._batches(domains if self.test_images.paired else domains[0]):
            truths = [to_rgb(image) for image in truth[0]] if truth else None
            originals = [to_rgb(image) for image in inputs]
            fakes = translate(net, inputs, self.device)
            collection.update("translation", numbers, [to_rgb(image) for image in fakes], truths)
            collection.update("input", numbers, originals, truths)
            if mean is not None:
                collection.update("mean", numbers, [mean] * len(numbers), truths)
            if back is not None:
                collection.update("cycle", numbers, [to_rgb(x) for x in translate(back, fakes, self.device)], originals)

    def _mean(self, domain: str) -> RGBImage | None:
        """Return the mean of all true answers."""
        total, count = np.zeros((), np.int64), 0
        for _, (images,) in self._batches(domain):
            total = total + np.sum([to_rgb(image) for image in images], axis=0, dtype=np.int64)
            count += len(images)
        return np.rint(total / count).astype(np.uint8) if count else None

    def _batches(self, domains: str) -> Iterator[tuple[list[int], list[list[Tensor]]]]:
        """Yield the numbers of the images of a domain, or pairs of two, and the images by domain."""
        every = range(self.test_images.count(domains[0]))
        for start in range(0, len(every), BATCH):
            read = {number: self.test_images.read(domains, number) for number in every[start : start + BATCH]}
            found = {number: images for number, images in read.items() if images is not None}
            if found:
                yield list(found), [list(images) for images in zip(*found.values(), strict=True)]


def translate(net: nn.Module, images: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Translate images (C, H, W) of one size, several at a time where each comes out as it would alone.

    Random numbers (dropout, where a run translates with it) are fixed, and everybody else's are left as they were.
    """
    random = any(module.training for module in net.modules())
    fitting = BATCH_PIXELS // (images[0].shape[1] * images[0].shape[2]) if device.type == "cpu" else BATCH
    size = 1 if random else max(1, fitting)
    dtype = next((parameter.dtype for parameter in net.parameters()), torch.float32)
    found: list[Tensor] = []
    for start in range(0, len(images), size):
        x = torch.stack(list(images[start : start + size])).to(device, dtype)
        with torch.inference_mode(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(0)
            found += net(x.contiguous(memory_format=layout_of(device)))
    return found


def to_rgb(image: Tensor) -> RGBImage:
    """Return a tensor (C, H, W) in [-1, 1] as the RGB image that a metric sees: gray repeated, alpha on white."""
    pixels = from_tensor(image)
    alpha = pixels[:, :, 3] if pixels.shape[2] == 4 else None
    return with_channels(ImageData(pixels[:, :, :3], alpha, pixels.shape[2] == 1), 3).astype(np.uint8, copy=False)


def describe(test_images: EvalSet) -> dict[str, Any]:
    """Return what a protocol says of the test images."""
    data = test_images.data
    return {"split": "train" if test_images.of_training else "test", "size": data.crop, "resize": data.resize}


def metric_lines(
    direction: str | None, found: Sequence[ScoreLine], step: int | None, weights: str | None, protocol: dict[str, Any]
) -> list[ScoreLine]:
    """Return what was found as lines of metrics.jsonl: of which weights, and under which conditions."""
    of = {"step": step, "direction": direction, "weights": weights}
    return [{**of, **line, "protocol": protocol | line["protocol"]} for line in found]
