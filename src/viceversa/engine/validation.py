"""Judging translators on the test pictures: in a training every so often, and for `viceversa evaluate`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from viceversa.config import Direction
from viceversa.data.image_data import ImageData, from_tensor, with_channels
from viceversa.data.test_images import TestImages
from viceversa.devices import layout_of
from viceversa.engine import distributed
from viceversa.engine.distributed import DistInfo
from viceversa.methods.base import Translators
from viceversa.metrics import Metric
from viceversa.metrics import Picture as Shown
from viceversa.metrics.panel import Candidate, Panel, Score

Line: TypeAlias = dict[str, Any]
"""A line of metrics.jsonl."""


class Evaluation:
    """Scores translators on the test pictures. With several processes each looks at its share of them.

    Neither the random numbers of a training nor its networks are touched. What does not depend on the translators (the
    real pictures, the baselines) is looked at in the first round and remembered.
    """

    def __init__(
        self,
        pictures: TestImages,
        metrics: Sequence[Metric],
        dist: DistInfo = DistInfo(),
        device: torch.device = torch.device("cpu"),
    ) -> None:
        self.pictures, self.metrics, self.dist, self.device = pictures, metrics, dist, device
        self.panels: dict[Direction, Panel] = {}

    def scores(self, translators: Translators) -> dict[Direction, list[Score]]:
        """Return the scores of every direction; on other ranks than the first, empty lists."""
        found = {}
        for direction, net in translators.items():
            first = direction not in self.panels
            panel = self.panels.setdefault(direction, Panel(self.metrics))
            panel.forget("translation")
            source, target = direction.split("to")
            if first:
                self._show_real(panel, target)
            back = translators.get(f"{target}to{source}")  # type: ignore[call-overload]
            self._show(panel, source, net, back)
            found[direction] = self._together(panel)
        return found

    def _show(self, panel: Panel, source: str, net: torch.nn.Module, back: torch.nn.Module | None) -> None:
        paired = self.pictures.paired
        mean = self._mean_truth(source) if paired and any(m.reference == "truth" for m in self.metrics) else None
        way_back = back if any(metric.reference == "input" for metric in self.metrics) else None
        for number in self._share(source):
            images = self.pictures.read(("AB" if source == "A" else "BA") if paired else source, number)
            if images is None:
                continue
            with repeatable(self.device):
                x = images[0][None].to(self.device, _dtype(net))
                fake = net(x.contiguous(memory_format=layout_of(self.device)))
                again = way_back(fake) if way_back else None
            original = shown(images[0])
            candidates: dict[Candidate, Shown] = {"translation": shown(fake[0]), "input": original}
            if mean is not None:
                candidates["mean"] = mean
            panel.show(number, candidates, shown(images[1]) if paired else None)
            if again is not None:
                panel.show_way_back(number, original, shown(again[0]))

    def _show_real(self, panel: Panel, target: str) -> None:
        if any(metric.reference == "real" for metric in self.metrics):
            for number in self._share(target):
                if images := self.pictures.read(target, number):
                    panel.show_real(number, shown(images[0]))

    def _mean_truth(self, source: str) -> Shown | None:
        """Return the mean of all true answers; summed as integers, so that shares add up exactly."""
        size = self.pictures.data.crop
        total = torch.zeros(size, size, 3, dtype=torch.int64)
        count = torch.zeros(1, dtype=torch.int64)
        for number in self._share(source):
            if images := self.pictures.read("B" if source == "A" else "A", number):
                total += torch.from_numpy(shown(images[0]).astype(np.int64))
                count += 1
        total, count = (distributed.all_sum(x.to(self.device), self.dist).cpu() for x in (total, count))
        return (total / count).round().to(torch.uint8).numpy() if count else None

    def _share(self, domain: str) -> range:
        return range(self.dist.rank, self.pictures.count(domain), self.dist.world_size)

    def _together(self, panel: Panel) -> list[Score]:
        whole = Panel(self.metrics)
        for notes in distributed.all_gather(panel.notes, self.dist):
            whole.merge(notes)
        return whole.scores() if self.dist.is_main else []


def _dtype(net: torch.nn.Module) -> torch.dtype:
    return next((parameter.dtype for parameter in net.parameters()), torch.float32)


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Fix the random numbers (dropout, where a run translates with it), and leave everybody else's as they were."""
    devices = [device] if device.type == "cuda" else []
    with torch.inference_mode(), torch.random.fork_rng(devices):
        torch.manual_seed(0)
        yield


def shown(image: Tensor) -> Shown:
    """Return a tensor (C, H, W) in [-1, 1] as the RGB picture that a metric sees: gray repeated, alpha on white."""
    pixels = from_tensor(image)
    alpha = pixels[:, :, 3] if pixels.shape[2] == 4 else None
    return with_channels(ImageData(pixels[:, :, :3], alpha, pixels.shape[2] == 1), 3).astype(np.uint8, copy=False)


def lines(
    direction: str | None,
    scores: Sequence[Score],
    step: int | None,
    weights: str | None,
    protocol: dict[str, Any],
) -> list[Line]:
    """Return scores as lines of metrics.jsonl; what is no finite number (PSNR of equal pictures) becomes null."""
    return [
        {
            "step": step,
            "direction": direction,
            "weights": weights,
            "metric": score.metric,
            "value": _finite(score.value),
            "spread": _finite(score.spread),
            "baseline": {who: _finite(value) for who, value in score.baseline.items()} or None,
            "protocol": {**protocol, **score.protocol},
        }
        for score in scores
    ]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
