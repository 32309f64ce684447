"""Curves for a page: what to draw, and what it means in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from viceversa.engine.run_dir import Line, RunRecord
from viceversa.report.scores import RunScore

POINTS = 600  # of a curve on the page; more are averaged together

LOSSES = {
    "gan": (
        "Adversarial losses",
        "gan_D…: how often a discriminator is wrong; gan_G and gan_F: how easily it recognises translations. They work "
        "against each other, so neither has to fall. A discriminator that stays at 0 has won and teaches nothing.",
    ),
    "cycle": ("Cycle consistency", "How far an image is from itself after translation there and back. Should fall."),
    "identity": ("Identity", "How much a generator changes an image that is in the target domain already."),
    "content": ("Content", "How far a translation is from its input, compared coarsely."),
    "color": ("Colours", "How far it is from its input in which colours stand beside which."),
    "moments": ("Feature moments", "How far translations are, on average, from the target domain. Should fall."),
    "feature": ("Features", "How far translation and target are apart to a network that has seen many pictures."),
    "deviation": ("Contrast", "How far the contrast of a translation is from that of its target, area by area."),
    "nce": ("Patch contrast (NCE)", "How well a patch of the translation is matched to the same patch of its input."),
    "l1": ("Distance to the ground truth (L1)", "Mean absolute difference of translation and target. Should fall."),
    "kl": ("KL divergence of the codes", "How much the codes say about their image; 0 means nothing."),
    "reconstruction": ("Reconstruction", "How far an image is from what is decoded from its own code. Should fall."),
}


@dataclass
class Chart:
    """One drawing: values over steps, None where there is none."""

    title: str
    about: str
    steps: list[int]
    series: list[dict[str, Any]] = field(default_factory=list)

    def add(self, label: str, values: Sequence[float | None], dashed: bool = False) -> None:
        """Add a curve; a dashed one is a baseline."""
        rounded = [None if v is None or v - v != 0 else float(f"{v:.5g}") for v in values]
        self.series.append({"label": label, "values": rounded, "dashed": dashed})


def score_charts(scores: Sequence[tuple[str, Sequence[RunScore]]]) -> list[Chart]:
    """Return a chart for each metric, with a curve for each label and history; dashed are the baselines of each."""
    found = []
    for metric in dict.fromkeys(history[-1].metric for _, history in scores):
        own = {label: history for label, history in scores if history[-1].metric == metric}
        steps = sorted({score.step for history in own.values() for score in history})
        words = next(iter(own.values()))[-1].words
        chart = Chart(f"{words.title} {words.arrow}".rstrip(), words.about, steps)
        for label, history in own.items():
            values = {score.step: score.value for score in history}
            chart.add(label, [values.get(step) for step in steps])
            for name, value in history[-1].baselines.items():
                chart.add(f"{label}, {name}", [value] * len(steps), dashed=True)
        if len(steps) > 1:
            found.append(chart)
    return found


def log_charts(record: RunRecord) -> list[Chart]:
    """Return what the log tells: losses by kind, learning rate, speed."""
    lines = thinned(record.losses)
    steps = [line["step"] for line in lines]
    found: dict[str, Chart] = {}
    for name in dict.fromkeys(name for line in lines for name in line["losses"]):
        kind = name.partition("_")[0]
        title, about = LOSSES.get(kind, (kind, ""))
        found.setdefault(kind, Chart(title, about, steps)).add(name, [line["losses"].get(name) for line in lines])
    kinds = sorted(found, key=lambda kind: list(LOSSES).index(kind) if kind in LOSSES else 99)
    rates = [line["lr"] for line in lines]
    speeds = dict(sorted(record.speeds.items())[:: max(1, -(-len(record.speeds) // POINTS))])
    others = {"Learning rate": ("", steps, "lr", rates)} if len(set(rates)) > 1 else {}
    if len(speeds) > 1:
        others["Speed"] = "Images of each domain per second.", list(speeds), "images/s", list(speeds.values())
    for title, (about, places, label, values) in others.items():
        found[title] = Chart(title, about, places)
        found[title].add(label, values)
    return [found[kind] for kind in (*kinds, *others)]


def thinned(lines: Sequence[Line]) -> list[Line]:
    """Return at most POINTS lines of a log; each stands for several, with the means of their losses."""
    size = -(-len(lines) // POINTS)
    return list(lines) if size <= 1 else [_mean(lines[i : i + size]) for i in range(0, len(lines), size)]


def _mean(lines: Sequence[Line]) -> Line:
    found = {name: [line["losses"].get(name) for line in lines] for name in lines[-1]["losses"]}
    finite = {name: [value for value in values if value is not None] for name, values in found.items()}
    means = {name: sum(values) / len(values) if values else None for name, values in finite.items()}
    return {**lines[-1], "losses": means}
