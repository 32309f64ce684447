"""Curves for a page: what to draw, and in plain words what it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from viceversa.report.facts import Facts
from viceversa.report.films import Frame
from viceversa.report.lines import Line
from viceversa.report.scores import KINDS, arrow, base

POINTS = 600  # of a curve on the page; more are averaged together

LOSSES = {
    "gan": (
        "Translator against judge",
        "gan_D...: how often the judge errs; gan_G and gan_F: how easily it sees through the translations. They pull "
        "against each other and need not fall. A judge at 0 for long has won, and teaches nothing any more.",
    ),
    "cycle": ("There and back", "How far a picture is from itself when it was translated there and back. Should fall."),
    "identity": ("Leave what is right", "How much a picture changes that is of the target world already."),
    "content": ("Keep the content", "How far a translation is from its input, looked at coarsely."),
    "nce": (
        "Patches keep their place",
        "How well a patch of the translation is told to belong to its own input patch.",
    ),
    "l1": ("Distance to the true answer", "Mean absolute difference of translation and true answer. Should fall."),
    "kl": ("Size of the codes", "How much the codes tell about their picture; 0 means nothing."),
    "reconstruction": ("Reconstruction", "How far a picture is from what its own code says. Should fall."),
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

    def plain(self) -> dict[str, Any]:
        """Return what the script on the page takes."""
        return asdict(self)


def charts(facts: Facts, films: Sequence[Frame]) -> list[Chart]:
    """Return all that can be drawn: scores first, then losses, learning rate, speed."""
    return [*_scores(facts), *_closeness(films), *_losses(facts), *_rate(facts), *_speed(facts)]


def _losses(facts: Facts) -> list[Chart]:
    lines = thinned(facts.losses)
    steps = [line["step"] for line in lines]
    found: dict[str, Chart] = {}
    for name in dict.fromkeys(name for line in lines for name in line["losses"]):
        kind = name.partition("_")[0]
        title, about = LOSSES.get(kind, (kind, ""))
        found.setdefault(kind, Chart(title, about, steps)).add(name, [line["losses"].get(name) for line in lines])
    return [found[kind] for kind in sorted(found, key=lambda kind: list(LOSSES).index(kind) if kind in LOSSES else 99)]


def _scores(facts: Facts) -> list[Chart]:
    found = []
    for metric in dict.fromkeys(line["metric"] for line in facts.metrics):
        lines = [line for line in facts.metrics if line["metric"] == metric]
        kind = KINDS.get(base(metric))
        steps = sorted({line["step"] for line in lines})
        if len(steps) < 2:
            continue
        chart = Chart(f"{kind.title if kind else metric} {arrow(metric)}", kind.about if kind else "", steps)
        for direction, weights in dict.fromkeys((line["direction"], line.get("weights")) for line in lines):
            own = [line for line in lines if (line["direction"], line.get("weights")) == (direction, weights)]
            values = {line["step"]: line["value"] for line in own}
            chart.add(f"{direction}{' raw' if weights == 'raw' else ''}", [values.get(step) for step in steps])
            for name, value in (own[-1].get("baseline") or {}).items():
                if weights != "raw" and isinstance(value, (int, float)):
                    chart.add(f"{direction}, {name}", [value] * len(steps), dashed=True)
        found.append(chart)
    return found


def _closeness(films: Sequence[Frame]) -> list[Chart]:
    """PSNR of the sample pictures, where the true answer is known; costs nothing, as they are here anyway."""
    if len(films) < 2 or not films[-1].closeness:
        return []
    chart = Chart(
        "Sample pictures: closeness to the true answer, dB ↑",
        "PSNR of the fixed pictures above; dashed: of the input left as it is. The higher the closer.",
        [frame.step for frame in films],
    )
    for direction, (_, untouched) in mean_closeness(films[-1]).items():
        chart.add(direction, [mean_closeness(frame).get(direction, (None, None))[0] for frame in films])
        chart.add(f"{direction}, input", [untouched] * len(films), dashed=True)
    return [chart]


def mean_closeness(frame: Frame) -> dict[str, tuple[float, float]]:
    """Return the mean PSNR in dB of the translations and of the untouched inputs, by direction."""
    found: dict[str, tuple[float, float]] = {}
    for direction in dict.fromkeys(direction for direction, _ in frame.closeness):
        rows = [pair for (own, _), pair in frame.closeness.items() if own == direction]
        found[direction] = (sum(r[0] for r in rows) / len(rows), sum(r[1] for r in rows) / len(rows))
    return found


def _rate(facts: Facts) -> list[Chart]:
    lines = thinned(facts.losses)
    if not lines or len({line["lr"] for line in lines}) < 2:
        return []
    chart = Chart("Learning rate", "How large the steps are.", [line["step"] for line in lines])
    chart.add("lr", [line["lr"] for line in lines])
    return [chart]


def _speed(facts: Facts) -> list[Chart]:
    speeds = dict(facts.speeds)  # a step that was done again counts as it was the last time
    if len(speeds) < 2:
        return []
    every = max(1, -(-len(speeds) // POINTS))
    steps = sorted(speeds)[::every]
    chart = Chart("Speed", "Pictures of each world a second.", steps)
    chart.add("pictures/s", [speeds[step] for step in steps])
    return [chart]


def thinned(lines: Sequence[Line]) -> list[Line]:
    """Return at most POINTS lines of a log; each stands for several, with the means of their losses."""
    size = -(-len(lines) // POINTS)
    return list(lines) if size <= 1 else [_mean(lines[i : i + size]) for i in range(0, len(lines), size)]


def _mean(lines: Sequence[Line]) -> Line:
    found = {name: [line["losses"].get(name) for line in lines] for name in lines[-1]["losses"]}
    finite = {name: [value for value in values if value is not None] for name, values in found.items()}
    means = {name: sum(values) / len(values) if values else None for name, values in finite.items()}
    return {**lines[-1], "losses": means}
