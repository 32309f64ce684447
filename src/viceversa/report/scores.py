"""What a figure of merit is called, which way is better, and whether a run's figures are any good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from viceversa.report.facts import Facts
from viceversa.report.lines import Line


@dataclass(frozen=True)
class Kind:
    """A metric in words."""

    title: str
    about: str
    better: Literal["higher", "lower"]
    verdict: str
    """What a translation is when its figure is better than another's."""
    unit: str = ""


CLOSE, NEAR = "closer to the true answer", "closer to the target world"
KINDS = {
    "psnr": Kind("Closeness to the true answer (PSNR)", "Peak signal-to-noise ratio.", "higher", CLOSE, " dB"),
    "ssim": Kind("Likeness to the true answer (SSIM)", "Structural similarity, at most 1.", "higher", CLOSE),
    "lpips": Kind("Distance to the true answer as seen (LPIPS)", "Distance of a network's features.", "lower", CLOSE),
    "l1": Kind("Difference to the true answer (L1)", "Mean absolute difference.", "lower", CLOSE),
    "kid": Kind("Distance to the target world (KID)", "All translations against all real pictures.", "lower", NEAR),
    "fid": Kind("Distance to the target world (FID)", "As KID; too high for few pictures.", "lower", NEAR),
    "cycle": Kind("Change there and back", "How far a picture is from itself after both.", "lower", "better kept"),
}


def base(metric: str) -> str:
    """Return the metric without its extractor: `kid[inception]` is a kid."""
    return metric.partition("[")[0]


def arrow(metric: str) -> str:
    """Return which way is better, as an arrow."""
    kind = KINDS.get(base(metric))
    return {"higher": "↑", "lower": "↓"}[kind.better] if kind else ""


@dataclass(frozen=True)
class Score:
    """One figure of a run: how good translations of one direction are, at one step."""

    direction: str
    metric: str
    value: float
    step: int
    spread: float | None = None
    baselines: Mapping[str, float] = field(default_factory=dict)
    about: str = ""

    @property
    def title(self) -> str:
        """What it measures, in words."""
        kind = KINDS.get(base(self.metric))
        return kind.title if kind else self.metric

    @property
    def way(self) -> str:
        """The direction, as people write it."""
        return self.direction.replace("to", " → ")

    @property
    def verdict(self) -> str:
        """What it says of the translations against the untouched inputs; empty if nothing can be said."""
        kind = KINDS.get(base(self.metric))
        if kind is None or self.beats is None:
            return ""
        own, untouched = (f"{value:.3g}{self.unit}" for value in (self.value, self.baselines["input"]))
        but = "" if self.beats else "not "
        return f"translations are {but}{kind.verdict} than the untouched inputs ({own} against {untouched})"

    @property
    def arrow(self) -> str:
        """Which way is better."""
        return arrow(self.metric)

    @property
    def unit(self) -> str:
        """What to write after a value, with a space before it."""
        kind = KINDS.get(base(self.metric))
        return kind.unit if kind else ""

    @property
    def beats(self) -> bool | None:
        """Whether it is better than leaving the input as it is; None if that cannot be said."""
        kind, untouched = KINDS.get(base(self.metric)), self.baselines.get("input")
        if kind is None or untouched is None:
            return None
        return self.value > untouched if kind.better == "higher" else self.value < untouched

    def better_than(self, other: Score) -> bool:
        """Whether it is better than another of the same metric."""
        kind = KINDS.get(base(self.metric))
        return kind is not None and (self.value > other.value if kind.better == "higher" else self.value < other.value)


def histories(facts: Facts) -> list[list[Score]]:
    """Return the scores of a run, averaged weights if there are any: a list for each direction and metric, by step."""
    found: dict[tuple[str, str], dict[int, Score]] = {}
    averaged = [line for line in facts.metrics if line.get("weights") != "raw"]
    for line in averaged or facts.metrics:
        score = _score(line)
        found.setdefault((score.direction, score.metric), {})[score.step] = score
    return [[scores[step] for step in sorted(scores)] for scores in found.values()]


def best(history: Sequence[Score]) -> Score:
    """Return the best score of a history, the later of equals; the last if nobody knows which way is better."""
    found = history[-1]
    for score in reversed(history):
        found = score if score.better_than(found) else found
    return found


def _score(line: Line) -> Score:
    baselines = {k: v for k, v in (line.get("baseline") or {}).items() if isinstance(v, (int, float))}
    protocol = ", ".join(f"{key} {value}" for key, value in (line.get("protocol") or {}).items())
    return Score(
        line.get("direction", ""), line["metric"], line["value"], line["step"], line.get("spread"), baselines, protocol
    )
