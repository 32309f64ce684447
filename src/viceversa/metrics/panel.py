"""The scores of one direction of translation, with what they are worth beside doing nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from viceversa.metrics.base import Metric, Picture, Value

Candidate: TypeAlias = Literal["translation", "input", "mean"]
Notes: TypeAlias = dict[tuple[str, str], dict[int, Tensor]]
"""(notebook, whose pictures) -> number of the picture -> what was noted."""
REAL = "real"


@dataclass(frozen=True)
class Score:
    """What a metric says of the translations, and of what is no translation at all."""

    metric: str
    value: float
    spread: float | None
    baseline: dict[str, float]
    """The same for the untouched input, and for the mean of the true answers."""
    protocol: dict[str, Any]


class Panel:
    """Is shown pictures one by one, in any order, and says all scores in the end.

    Several processes show their shares to panels of their own; `notes` of one, merged into another, are as if all had
    been shown there.
    """

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self.metrics = list(metrics)
        self.notes: Notes = {}

    def show(self, number: int, candidates: dict[Candidate, Picture], truth: Picture | None = None) -> None:
        """Note picture `number` of the source world: its translation, what competes with it, and its true answer."""
        for metric in self.metrics:
            if metric.reference == "input" or (metric.reference == "truth" and truth is None):
                continue
            for who, picture in candidates.items():
                if who != "mean" or metric.reference == "truth":  # one picture, again and again, is no distribution
                    self._note(metric, who, number, picture, truth)

    def show_way_back(self, number: int, original: Picture, back: Picture) -> None:
        """Note picture `number` of the source world and what became of it there and back."""
        for metric in self.metrics:
            if metric.reference == "input":
                self._note(metric, "translation", number, back, original)

    def show_real(self, number: int, picture: Picture) -> None:
        """Note real picture `number` of the target world."""
        for metric in self.metrics:
            if metric.reference == "real":
                self._note(metric, REAL, number, picture, None)

    def merge(self, notes: Notes) -> None:
        """Take over what was noted elsewhere."""
        for place, noted in notes.items():
            self.notes.setdefault(place, {}).update(noted)

    def forget(self, who: str) -> None:
        """Forget what was noted of some pictures, "translation" for instance."""
        self.notes = {place: noted for place, noted in self.notes.items() if place[1] != who}

    def scores(self) -> list[Score]:
        """Return a score for every metric that was shown what it needs, in their order."""
        return [score for metric in self.metrics if (score := self._score(metric))]

    def _note(self, metric: Metric, who: str, number: int, picture: Picture, reference: Picture | None) -> None:
        page = self.notes.setdefault((metric.notebook, who), {})
        if number not in page:
            page[number] = metric.note(picture, reference)

    def _score(self, metric: Metric) -> Score | None:
        own = self._value(metric, "translation")
        if own is None:
            return None
        others = {who: value.value for who in ("input", "mean") if (value := self._value(metric, who))}
        better = {"better": "higher" if metric.higher_is_better else "lower"}
        return Score(metric.name, own.value, own.spread, others, {**better, **own.facts})

    def _value(self, metric: Metric, who: str) -> Value | None:
        noted = self._stacked(metric.notebook, who)
        real = self._stacked(metric.notebook, REAL) if metric.reference == "real" else None
        return None if noted is None or (metric.reference == "real" and real is None) else metric.value(noted, real)

    def _stacked(self, notebook: str, who: str) -> Tensor | None:
        page = self.notes.get((notebook, who))
        return torch.stack([page[number] for number in sorted(page)]) if page else None
