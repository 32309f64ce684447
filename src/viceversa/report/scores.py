"""What a metric is called, which way is better, and whether a run's scores are any good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from viceversa.engine.run_dir import RunRecord
from viceversa.report.samples import Frame


@dataclass(frozen=True)
class MetricWords:
    """A metric in words. `verdict`: what a translation is when its score is better than another's."""

    title: str
    about: str = ""
    better: Literal["higher", "lower", ""] = ""
    verdict: str = ""
    unit: str = ""

    @property
    def arrow(self) -> str:
        """Which way is better."""
        return {"higher": "↑", "lower": "↓", "": ""}[self.better]

    def better_than(self, one: float, other: float) -> bool:
        """Whether one value of the metric is better than another."""
        return one > other if self.better == "higher" else one < other if self.better == "lower" else False


FEW = 30  # test images; with fewer, small differences mean little
CLOSE, NEAR = "closer to the ground truth", "closer to the target domain"
METRICS = {
    "psnr": MetricWords("PSNR to the ground truth", "Peak signal-to-noise ratio.", "higher", CLOSE, " dB"),
    "ssim": MetricWords("SSIM to the ground truth", "Structural similarity, at most 1.", "higher", CLOSE),
    "lpips": MetricWords("LPIPS to the ground truth", "Perceptual distance.", "lower", CLOSE),
    "l1": MetricWords("L1 distance to the ground truth", "Mean absolute difference.", "lower", CLOSE),
    "kid": MetricWords("KID to the target domain", "Distance of all translations to all real images.", "lower", NEAR),
    "fid": MetricWords("FID to the target domain", "As KID; too high with few images.", "lower", NEAR),
    "cycle": MetricWords("Cycle error", "Change after translation there and back.", "lower", "better kept"),
}


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
    def words(self) -> MetricWords:
        """Its metric in words; `kid[inception]` is KID, by the features of that extractor."""
        name, _, of = self.metric.partition("[")
        known = METRICS.get(name, MetricWords(self.metric))
        return replace(known, title=f"{known.title} [{of}") if of and name in METRICS else known

    @property
    def way(self) -> str:
        """The direction, as people write it."""
        return self.direction.replace("to", " → ")

    @property
    def beats_input(self) -> bool | None:
        """Whether it is better than leaving the input as it is; None if that cannot be said."""
        if "input" not in self.baselines or not self.words.better:
            return None
        return self.words.better_than(self.value, self.baselines["input"])

    @property
    def verdict(self) -> str:
        """What it says of the translations against the untranslated inputs; empty if nothing can be said."""
        if self.beats_input is None:
            return ""
        own, untranslated = (f"{value:.3g}{self.words.unit}" for value in (self.value, self.baselines["input"]))
        but = "" if self.beats_input else "not "
        return f"translations are {but}{self.words.verdict} than the untranslated inputs ({own} against {untranslated})"


def histories(record: RunRecord) -> list[list[RunScore]]:
    """Return the scores of a run by step, of the EMA weights if there are any: a list for each direction and metric."""
    found: dict[tuple[str, str], dict[int, RunScore]] = {}
    averaged = [line for line in record.metrics if line.get("weights") != "raw"]
    for line in (line for line in averaged or record.metrics if line["value"] is not None):
        baselines = {k: v for k, v in (line.get("baseline") or {}).items() if isinstance(v, (int, float))}
        direction, metric, value, step = (line[name] for name in ("direction", "metric", "value", "step"))
        score = RunScore(direction, metric, value, step, line.get("spread"), baselines, line.get("protocol") or {})
        found.setdefault((direction, metric), {})[step] = score
    return [[scores[step] for step in sorted(scores)] for scores in found.values()]


def sample_histories(frames: Sequence[Frame]) -> list[list[RunScore]]:
    """Return the PSNR of the samples to the ground truth, where it is known; it costs nothing, as they are here."""
    found: dict[str, list[RunScore]] = {}
    for frame in frames:
        for direction, (value, untranslated, count) in frame.psnr.items():
            protocol = {"samples": count}
            score = RunScore(direction, "psnr[samples]", value, frame.step, None, {"input": untranslated}, protocol)
            found.setdefault(direction, []).append(score)
    return list(found.values())


def best(history: Sequence[RunScore]) -> RunScore:
    """Return the best score of a history, the later of equals; the last if it is unknown which way is better."""
    found = history[-1]
    for score in reversed(history):
        found = score if score.words.better_than(score.value, found.value) else found
    return found


def verdicts(scores: Sequence[RunScore]) -> list[tuple[str, str]]:
    """Return direction and sentence; of several metrics that say the same, the first says it."""
    said: dict[tuple[str, str], str] = {}
    for score in scores:
        if score.verdict:
            said.setdefault((score.way, score.verdict.partition(" (")[0]), score.verdict)
    return [(way, words) for (way, _), words in said.items()]


def cautions(record: RunRecord, scores: Sequence[RunScore]) -> list[str]:
    """Return what a reader should know about the scores: how old they are, and whether they rest on little."""
    found = []
    steps = sorted({line["step"] for line in record.metrics})
    if steps:
        times = f"Evaluated {len(steps)} times, last" if len(steps) > 1 else "Evaluated once,"
        found.append(f"{times} at step {steps[-1]:,}{f' of {record.step:,}' if steps[-1] < record.step else ''}.")
    elif scores:
        found.append("The run has not been evaluated: these are scores of the samples only.")
    counts = [score.protocol.get(key) for score in scores for key in ("images", "pictures", "samples")]
    fewest = min((count for count in counts if isinstance(count, int)), default=FEW)
    if fewest < FEW:
        only = "a single image" if fewest == 1 else f"only {fewest} images"
        found.append(f"Some scores are measured on {only}: small differences mean nothing.")
    if failed := {line["metric"] for line in record.metrics if line["value"] is None}:
        found.append(f"Without a finite value at times: {', '.join(sorted(failed))}.")
    return found
