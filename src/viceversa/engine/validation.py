"""Scores of translators on the test images: for `viceversa evaluate`, and every so often during a training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, get_args

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
from viceversa.metrics.base import Candidate, Metric, Reference, RGBImage, ScoreLine, Statistics, compute, join, measure
from viceversa.nets.base import BATCH_PIXELS

BATCH = 16  # images that are read, translated and measured at a time


class Validation:
    """Scores the averaged translators, and keeps those with the best value of `train.best_by` in metrics.jsonl.

    A training computes the same with it and without. Raises ConfigError or ValueError for what cannot be measured.
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
    """Scores translators on the test images. Raises ConfigError for metrics that those do not suit.

    What does not depend on the translators (the real images, the baselines) is measured once and remembered.
    """

    def __init__(
        self, test_images: EvalSet, metrics: Sequence[Metric], device: torch.device = torch.device("cpu")
    ) -> None:
        self.test_images, self.metrics, self.device = test_images, metrics, device
        self.by = {reference: [m for m in metrics if m.reference == reference] for reference in get_args(Reference)}
        if self.by["truth"] and not test_images.paired:
            compared = ", ".join(metric.name for metric in self.by["truth"])
            raise ConfigError(
                f"{compared}: the test images are not paired; ask for kid, or set data.paired_test=true if images of "
                "the same name belong together"
            )
        fewest = min(test_images.count("A"), test_images.count("B"))
        if demanding := [metric for metric in metrics if metric.fewest > fewest]:
            name, needed = demanding[0].name, demanding[0].fewest
            raise ConfigError(f"{name}: needs {needed} test images of each domain, and there are {fewest}; omit it")
        self.features: dict[str, Statistics] = {}
        self.originals: dict[Direction, dict[Candidate, Statistics]] = {}

    def scores(self, translators: Translators) -> dict[Direction, list[ScoreLine]]:
        """Return the scores of every direction."""
        found = {}
        for direction, net in translators.items():
            source, target = direction.split("to")
            if direction not in self.originals:
                self.originals[direction] = self._originals(source, target)
            back = translators.get(f"{target}to{source}")  # type: ignore[call-overload]
            translated = self._translated(source + target, net, back if self.by["input"] else None)
            found[direction] = compute(self.metrics, self.originals[direction] | translated)
        return found

    def _originals(self, source: str, target: str) -> dict[Candidate, Statistics]:
        """Measure real images, and what competes with translations."""
        found: dict[Candidate, Statistics] = {"input": self._features(source), "real": self._features(target)}
        if compared := self.by["truth"]:
            inputs, means, mean = [], [], self._mean(target)
            for images, truths in self._batches(source + target):
                inputs.append(measure(compared, images, truths))
                means.append(measure(compared, [mean] * len(truths), truths))
            found |= {"input": found["input"] | join(inputs), "mean": join(means)}
        return found

    def _features(self, domain: str) -> Statistics:
        """Measure real images of a domain, once: they are inputs in one direction and the target in the other."""
        if domain not in self.features:
            batches = self._batches(domain) if self.by["real"] else ()
            self.features[domain] = join([measure(self.by["real"], images) for (images,) in batches])
        return self.features[domain]

    def _translated(self, domains: str, net: nn.Module, back: nn.Module | None) -> dict[Candidate, Statistics]:
        """Measure translations, and what becomes of them on the way back."""
        compared, translations, cycles = [*self.by["truth"], *self.by["real"]], [], []
        for inputs, *truths in self._read(domains if self.by["truth"] else domains[0]):
            fakes = translate(net, inputs, self.device)
            translations.append(measure(compared, rgb(fakes), rgb(truths[0]) if truths else None))
            if back is not None:
                returned = translate(back, fakes, self.device)
                cycles.append(measure(self.by["input"], rgb(returned), rgb(inputs)))
        return {"translation": join(translations), "cycle": join(cycles)}

    def _mean(self, domain: str) -> RGBImage:
        """Return the mean of all true answers."""
        total, count = np.zeros((), np.int64), 0
        for (images,) in self._batches(domain):
            total = total + np.sum(images, axis=0, dtype=np.int64)
            count += len(images)
        return np.rint(total / max(1, count)).astype(np.uint8)

    def _batches(self, domains: str) -> Iterator[list[list[RGBImage]]]:
        """Yield the images of `_read` as a metric sees them."""
        for batch in self._read(domains):
            yield [rgb(images) for images in batch]

    def _read(self, domains: str) -> Iterator[list[list[Tensor]]]:
        """Yield the images of a domain, or pairs of two, some at a time: a list for each domain."""
        every = range(self.test_images.count(domains[0]))
        for start in range(0, len(every), BATCH):
            read = [self.test_images.read(domains, number) for number in every[start : start + BATCH]]
            if found := [images for images in read if images is not None]:
                yield [list(images) for images in zip(*found, strict=True)]


def translate(net: nn.Module, images: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Translate images (C, H, W) of one size as each would be alone, with random numbers (dropout) of its own."""
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


def rgb(images: Sequence[Tensor]) -> list[RGBImage]:
    """Return tensors (C, H, W) in [-1, 1] as the RGB images that a metric sees: gray repeated, alpha on white."""
    found = []
    for pixels in map(from_tensor, images):
        alpha = pixels[:, :, 3] if pixels.shape[2] == 4 else None
        image = ImageData(pixels[:, :, :3], alpha, pixels.shape[2] == 1)
        found.append(with_channels(image, 3).astype(np.uint8, copy=False))
    return found


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
