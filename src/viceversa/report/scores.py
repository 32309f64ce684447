"""What a metric is called, which way is better, and whether a run's scores are any good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from viceversa.engine.run_dir import Line, RunRecord
from viceversa.report.samples import Frame

FEW = 50  # test images; with fewer, scores say little


@dataclass(frozen=True)
class MetricWords:
    """A metric in words. `verdict`: what a translation is when its score is better than another's."""

    title: str
    about: str
    better: Literal["higher", "lower", ""]
    verdict: str
    unit: str = ""

    def better_than(self, one: float, other: float) -> bool:
        """Whether one value of the metric is better than another."""
        return one > other if self.better == "higher" else one < other if self.better == "lower" else False


CLOSE, NEAR = "closer to the ground truth", "closer to the target domain"
KINDS = {
    "psnr": MetricWords("PSNR to the ground truth", "Peak signal-to-noise ratio.", "higher", CLOSE, " dB"),
    "ssim": MetricWords("SSIM to the ground truth", "Structural similarity, at most 1.", "higher", CLOSE),
    "lpips": MetricWords("LPIPS to the ground truth", "Perceptual distance.", "lower", CLOSE),
    "l1": MetricWords("L1 distance to the ground truth", "Mean absolute difference.", "lower", CLOSE),
    "kid": MetricWords(
        "KID: distance to the target domain", "All translations against all real images.", "lower", NEAR
    ),
    "fid": MetricWords("FID: distance to the target domain", "As KID; too high with few images.", "lower", NEAR),
    "cycle": MetricWords(
        "Cycle: change after translation there and back", "Mean absolute difference.", "lower", "better kept"
    ),
}


def base(metric: str) -> str:
    """Return the metric without its extractor: `kid[inception]` is a kid."""
    return metric.partition("[")[0]


def arrow(metric: str) -> str:
    """Return which way is better, as an arrow."""
    kind = KINDS.get(base(metric))
    return {"higher": "↑", "lower": "↓", "": ""}[kind.better] if kind else ""


@dataclass(frozen=True)
class RunScore:
    """One score of a run: how good the translations of one direction are, at one step."""

    direction: str
    metric: str
    value: float
    step: int
    spread: float | None = None
    baselines: Mapping[str, float] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> MetricWords:
        """Its metric in words."""
        return KINDS.get(base(self.metric)) or MetricWords(self.metric, "", "", "")

    @property
    def title(self) -> str:
        """What it measures, with the extractor if there is one."""
        _, bracket, extractor = self.metric.partition("[")
        return f"{self.kind.title} [{extractor}" if bracket and self.kind.about else self.kind.title

    @property
    def about(self) -> str:
        """How it was measured."""
        return ", ".join(f"{key} {value}" for key, value in self.protocol.items())

    @property
    def way(self) -> str:
        """The direction, as people write it."""
        return self.direction.replace("to", " → ")

    @property
    def arrow(self) -> str:
        """Which way is better."""
        return arrow(self.metric)

    @property
    def beats_input(self) -> bool | None:
        """Whether it is better than leaving the input as it is; None if that cannot be said."""
        untranslated = self.baselines.get("input")
        return (
            self.kind.better_than(self.value, untranslated) if untranslated is not None and self.kind.better else None
        )

    @property
    def verdict(self) -> str:
        """What it says of the translations against the untranslated inputs; empty if nothing can be said."""
        if self.beats_input is None:
            return ""
        own, untranslated = (f"{value:.3g}{self.kind.unit}" for value in (self.value, self.baselines["input"]))
        but = "" if self.beats_input else "not "
        return f"translations are {but}{self.kind.verdict} than the untranslated inputs ({own} against {untranslated})"

    def better_than(self, other: RunScore) -> bool:
        """Whether it is better than another of the same metric."""
        return self.kind.better_than(self.value, other.value)


def histories(record: RunRecord) -> list[list[RunScore]]:
    """Return the scores of a run by step, of the EMA weights if there are any: a list for each direction and metric."""
    found: dict[tuple[str, str], dict[int, RunScore]] = {}
    averaged = [line for line in record.metrics if line.get("weights") != "raw"]
    for line in averaged or record.metrics:
        score = _score(line)
        found.setdefault((score.direction, score.metric), {})[score.step] = score
    return [[scores[step] for step in sorted(scores)] for scores in found.values()]


def sample_histories(frames: Sequence[Frame]) -> list[list[RunScore]]:
    """Return the PSNR of the samples to the ground truth, for runs that nobody has evaluated."""
    found: dict[str, list[RunScore]] = {}
    for frame in frames:
        count = {key.direction: key.row for key in sorted(frame.translations)}
        for direction, (value, untranslated) in frame.psnr.items():
            protocol = {"samples": count[direction] + 1}
            score = RunScore(direction, "psnr", value, frame.step, None, {"input": untranslated}, protocol)
            found.setdefault(direction, []).append(score)
    return list(found.values())


def best(history: Sequence[RunScore]) -> RunScore:
    """Return the best score of a history, the later of equals; the last if it is unknown which way is better."""
    found = history[-1]
    for score in reversed(history):
        found = score if score.better_than(found) else found
    return found


def verdicts(scores: Sequence[RunScore]) -> list[tuple[str, str]]:
    """Return direction and sentence; of several metrics that say the same, the first says it."""
    said: dict[tuple[str, str], str] = {}
    for score in scores:
        if score.verdict:
            said.setdefault((score.way, score.verdict.partition(" (")[0]), score.verdict)
    return [(way, words) for (way, _), words in said.items()]


def _score(line: Line) -> RunScore:
    baselines = {k: v for k, v in (line.get("baseline") or {}).items() if isinstance(v, (int, float))}
    value, spread, protocol = line["value"], line.get("spread"), line.get("protocol") or {}
    return RunScore(line["direction"], line["metric"], value, line["step"], spread, baselines, protocol)
