"""Curves for a page: what to draw, and what it means in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from viceversa.engine.run_dir import Line, RunRecord
from viceversa.report.samples import Frame
from viceversa.report.scores import in_words

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


def charts(record: RunRecord, frames: Sequence[Frame]) -> list[Chart]:
    """Return all that can be drawn: scores first, then losses, learning rate, speed."""
    return [*_scores(record), *_closeness(frames), *_losses(record), *_rate_and_speed(record)]


def _scores(record: RunRecord) -> list[Chart]:
    found = []
    for metric in dict.fromkeys(line["metric"] for line in record.metrics):
        lines = [line for line in record.metrics if line["metric"] == metric]
        steps = sorted({line["step"] for line in lines})
        if len(steps) < 2:
            continue
        words = in_words(metric)
        chart = Chart(f"{words.title} {words.arrow}".rstrip(), words.about, steps)
        for direction, weights in dict.fromkeys((line["direction"], line.get("weights")) for line in lines):
            own = [line for line in lines if (line["direction"], line.get("weights")) == (direction, weights)]
            values = {line["step"]: line["value"] for line in own}
            chart.add(f"{direction}{' without EMA' if weights == 'raw' else ''}", [values.get(step) for step in steps])
            for name, value in (own[-1].get("baseline") or {}).items():
                if weights != "raw" and isinstance(value, (int, float)):
                    chart.add(f"{direction}, {name}", [value] * len(steps), dashed=True)
        found.append(chart)
    return found


def _closeness(frames: Sequence[Frame]) -> list[Chart]:
    """PSNR of the samples, where the ground truth is known; costs nothing, as they are here anyway."""
    if len(frames) < 2 or not frames[-1].psnr:
        return []
    chart = Chart(
        "Samples: PSNR to the ground truth, dB ↑",
        "Of the test images above. Dashed: the untranslated inputs.",
        [frame.step for frame in frames],
    )
    for direction, (_, untranslated) in frames[-1].psnr.items():
        chart.add(direction, [frame.psnr.get(direction, (None, None))[0] for frame in frames])
        chart.add(f"{direction}, input", [untranslated] * len(frames), dashed=True)
    return [chart]


def _losses(record: RunRecord) -> list[Chart]:
    lines = thinned(record.losses)
    steps = [line["step"] for line in lines]
    found: dict[str, Chart] = {}
    for name in dict.fromkeys(name for line in lines for name in line["losses"]):
        kind = name.partition("_")[0]
        title, about = LOSSES.get(kind, (kind, ""))
        found.setdefault(kind, Chart(title, about, steps)).add(name, [line["losses"].get(name) for line in lines])
    return [found[kind] for kind in sorted(found, key=lambda kind: list(LOSSES).index(kind) if kind in LOSSES else 99)]


def _rate_and_speed(record: RunRecord) -> list[Chart]:
    rates = {line["step"]: line["lr"] for line in thinned(record.losses)}
    every = max(1, -(-len(record.speeds) // POINTS))
    speeds = dict(sorted(record.speeds.items())[::every])
    found = []
    if len(set(rates.values())) > 1:
        found.append(Chart("Learning rate", "", list(rates)))
        found[-1].add("lr", list(rates.values()))
    if len(speeds) > 1:
        found.append(Chart("Speed", "Images of each domain per second.", list(speeds)))
        found[-1].add("images/s", list(speeds.values()))
    return found


def thinned(lines: Sequence[Line]) -> list[Line]:
    """Return at most POINTS lines of a log; each stands for several, with the means of their losses."""
    size = -(-len(lines) // POINTS)
    return list(lines) if size <= 1 else [_mean(lines[i : i + size]) for i in range(0, len(lines), size)]


def _mean(lines: Sequence[Line]) -> Line:
    found = {name: [line["losses"].get(name) for line in lines] for name in lines[-1]["losses"]}
    finite = {name: [value for value in values if value is not None] for name, values in found.items()}
    means = {name: sum(values) / len(values) if values else None for name, values in finite.items()}
    return {**lines[-1], "losses": means}
