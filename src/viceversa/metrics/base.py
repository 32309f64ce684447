"""What every metric promises, and the scores of one direction of translation beside those of doing nothing."""

from __future__ import annotations

import importlib
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

RGBImage: TypeAlias = NDArray[np.uint8]
"""(height, width, 3)."""
Reference: TypeAlias = Literal["truth", "input", "real"]
Candidate: TypeAlias = Literal["translation", "input", "mean", "cycle", "real"]
ScoreLine: TypeAlias = dict[str, Any]
"""What a metric says, as a line of metrics.jsonl has it."""
Statistics: TypeAlias = dict[tuple[str, Candidate], dict[int, Tensor]]
"""(what was measured, of whose images) -> number of the image -> its statistics."""


def import_extra(module: str, package: str) -> Any:
    """Return a module of a package that may be missing; raise ValueError, with what to install, then."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise ValueError(f'{package} is not installed; pip install "viceversa[metrics]"') from None


@dataclass(frozen=True)
class Download:
    """A file on the network, and what it must be."""

    url: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where torch, torchvision and torch-fidelity keep it."""
        return Path(torch.hub.get_dir()) / "checkpoints" / self.url.rpartition("/")[2]

    def fetch(self) -> Path:
        """Return its path, downloaded if it is not there; OSError, with where to put it, when it cannot be had."""
        import pooch

        pooch.get_logger().setLevel("WARNING")
        try:
            return Path(pooch.retrieve(self.url, self.sha256, self.path.name, self.path.parent))
        except (OSError, ValueError) as error:
            reason = f"{self.path.name} is not here and {self.url} cannot be had ({last_line(error)})"
            raise OSError(f"{reason}; put the file into {self.path.parent}") from None


def last_line(error: Exception) -> str:
    """Return the last line of a message, which in torch's is what is wrong."""
    return str(error).strip().splitlines()[-1].strip()


@dataclass(frozen=True)
class MetricValue:
    """What a metric says of a set of images."""

    value: float
    spread: float | None = None
    """How far it scatters; `facts` says what over."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Its protocol: whatever another would need to get the same number."""


class Metric(ABC):
    """Scores a set of images: `statistics` of each batch, then `compute` a value of all of them."""

    name: str
    """With what it depends on in brackets, kid[inception]: values of different names must not be compared."""
    reference: Reference
    """What images are compared with: each with its true answer; each with its input, after the way there and back; or
    all with real images of the target domain."""
    measures: str
    """What its statistics are called; metrics that measure the same share them."""
    higher_is_better: bool = False
    fewest: int = 1
    """So many images it takes, at least, and so many real ones."""

    @abstractmethod
    def statistics(self, images: Sequence[RGBImage], references: Sequence[RGBImage] | None) -> Tensor:
        """Return of each image all that `compute` needs of it, (N, D)."""

    @abstractmethod
    def compute(self, statistics: Tensor, real: Tensor | None) -> MetricValue:
        """Make a value of the statistics (N, D), and of those of the M real images (M, D) if it asks for some."""


COMPARED_WITH: dict[Candidate, set[Reference]] = {
    "translation": {"truth", "real"},
    "input": {"truth", "real"},
    "mean": {"truth"},  # one image, again and again, is no distribution
    "cycle": {"input"},
    "real": {"real"},
}
"""Whose images are measured for metrics of which reference: translations; what competes with them, the untouched input
and the mean of all true answers; inputs translated there and back; real images of the target domain."""


class MetricCollection:
    """Several metrics of one direction of translation, updated batch by batch, in any order.

    Each process updates a collection with its share of the images; one that merges all their `statistics` computes what
    it would have computed alone.
    """

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self.metrics = list(metrics)
        self.statistics: Statistics = {}

    def update(
        self,
        candidate: Candidate,
        numbers: Sequence[int],
        images: Sequence[RGBImage],
        references: Sequence[RGBImage] | None = None,
    ) -> None:
        """Measure a batch of images, known by their numbers; those that were measured before are left out.

        `references` are true answers, or for "cycle" the inputs; without them nothing is compared one by one.
        """
        for metric in self.metrics:
            if metric.reference not in COMPARED_WITH[candidate] or (metric.reference == "truth" and not references):
                continue
            known = self.statistics.setdefault((metric.measures, candidate), {})
            new = [place for place, number in enumerate(numbers) if number not in known]
            if new:
                held = [references[place] for place in new] if references else None
                found = metric.statistics([images[place] for place in new], held)
                known.update({numbers[place]: row for place, row in zip(new, found, strict=True)})

    def reset(self, *candidates: Candidate) -> None:
        """Forget what was measured of some images."""
        self.statistics = {place: rows for place, rows in self.statistics.items() if place[1] not in candidates}

    def compute(self) -> list[ScoreLine]:
        """Return what every metric says that has seen what it needs, in their order.

        `baseline` is what it says of the untouched input and of the mean of the true answers. What is no finite number
        (PSNR of equal images) is None, as it is in JSON.
        """
        found = []
        for metric in self.metrics:
            own = self._value(metric, "cycle" if metric.reference == "input" else "translation")
            if own is None:
                continue
            others = {"input": self._value(metric, "input"), "mean": self._value(metric, "mean")}
            baseline = {who: _finite(other.value) for who, other in others.items() if other}
            better = {"better": "higher" if metric.higher_is_better else "lower"}
            found.append(
                {
                    "metric": metric.name,
                    "value": _finite(own.value),
                    "spread": _finite(own.spread),
                    "baseline": baseline or None,
                    "protocol": better | own.facts,
                }
            )
        return found

    def _value(self, metric: Metric, candidate: Candidate) -> MetricValue | None:
        statistics = self._stacked(metric.measures, candidate)
        real = self._stacked(metric.measures, "real") if metric.reference == "real" else None
        if statistics is None or (metric.reference == "real" and real is None):
            return None
        return metric.compute(statistics, real)

    def _stacked(self, measures: str, candidate: Candidate) -> Tensor | None:
        rows = self.statistics.get((measures, candidate))
        return torch.stack([rows[number] for number in sorted(rows)]) if rows else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
