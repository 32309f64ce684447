"""What every metric promises, and the scores of one direction of translation beside those of doing nothing."""

from __future__ import annotations

import importlib
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
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
"""Whose images are measured: translations; what competes with them, the untouched input and the mean of all true
answers; inputs translated there and back; real images of the target domain."""
ScoreLine: TypeAlias = dict[str, Any]
"""What a metric says, as a line of metrics.jsonl has it."""
BASELINES: tuple[Candidate, ...] = ("input", "mean")
Statistics: TypeAlias = dict[str, Tensor]
"""What was measured of N images, (N, D), by the `measures` of metrics."""


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


def measure(
    metrics: Sequence[Metric], images: Sequence[RGBImage], references: Sequence[RGBImage] | None = None
) -> Statistics:
    """Return what metrics need of a batch of images, each compared with its reference by those that ask for one."""
    measuring = {metric.measures: metric for metric in metrics}
    return {measures: metric.statistics(images, references) for measures, metric in measuring.items()}


def join(batches: Sequence[Statistics]) -> Statistics:
    """Return the statistics of several batches, measured by the same metrics, as those of one."""
    return {measures: torch.cat([batch[measures] for batch in batches]) for measures in (batches or [{}])[0]}


def compute(metrics: Sequence[Metric], measured: Mapping[Candidate, Statistics]) -> list[ScoreLine]:
    """Return what every metric says for which enough was measured, in their order.

    `baseline` is what it says of the untouched input and of the mean of the true answers. What is no finite number
    (PSNR of equal images) is None, as it is in JSON.
    """
    found = []
    for metric in metrics:
        rows = {who: part[metric.measures] for who, part in measured.items() if metric.measures in part}
        own, real = rows.get("cycle" if metric.reference == "input" else "translation"), rows.get("real")
        if own is None or (metric.reference == "real" and real is None):
            continue
        value = metric.compute(own, real)
        others = {who: metric.compute(rows[who], real).value for who in BASELINES if who in rows}
        found.append(
            {
                "metric": metric.name,
                "value": _finite(value.value),
                "spread": _finite(value.spread),
                "baseline": {who: _finite(other) for who, other in others.items()} or None,
                "protocol": {"better": "higher" if metric.higher_is_better else "lower", **value.facts},
            }
        )
    return found


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
