"""Runs side by side: the same inputs through each of them, figures, and what their configurations differ in."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from viceversa.config import Config, Direction, flat, to_tree
from viceversa.data.image_data import luminance
from viceversa.files import replacing
from viceversa.metrics import l1, psnr
from viceversa.report.curves import Chart, mean_closeness
from viceversa.report.facts import Facts, read_facts
from viceversa.report.films import Picture, embed, frames, spread
from viceversa.report.html import render
from viceversa.report.outcome import OPPOSITE, Exam, Pixels, configuration, directions, exams, translated
from viceversa.report.scores import histories
from viceversa.report.settings import shown

Values: TypeAlias = Mapping[str, float]
SHOWN = 8  # inputs on the page; figures are of all test pictures, at most
JUDGED = 100
ABSENT = "–"  # an option of another method


@dataclass(frozen=True)
class Figure:
    """A column of the table: what is measured, and which way is better."""

    name: str
    about: str
    better: str


KEPT = Figure("light and dark kept", "Correlation of brightness, input and translation; below 0 it is inverted.", "")
CHANGED = Figure("changed", "Mean absolute difference of input and translation.", "")
TRUTH = (
    Figure("PSNR to the truth, dB", "Closeness to the true answer.", "↑"),
    Figure("L1 to the truth", "Mean absolute difference to the true answer.", "↓"),
)


@dataclass(frozen=True)
class Row:
    """A run's line in the table: its figures by name; `best` names those in which no other is better."""

    name: str
    figures: Values
    best: frozenset[str]


@dataclass(frozen=True)
class Side:
    """One direction: what the runs make of the same inputs."""

    direction: str
    columns: list[str]
    rows: list[list[Picture | None]]
    figures: list[Figure]
    table: list[Row]


def compare(runs: Sequence[Path], out: Path) -> None:
    """Write a page that compares runs on the test pictures of the first one's data.

    Raises FileNotFoundError or ValueError, with the remedy, for a run without weights and for data that are not there.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{out}: the last word is the page to write; name a .html file")
    if len(runs) < 2:
        raise ValueError("a comparison needs two runs or more: viceversa compare RUN RUN OUT.html")
    names = dict(zip(short(runs), runs, strict=True))
    configs = {name: configuration(run) for name, run in names.items()}
    _refuse_other_channels(configs)
    tests = exams(next(iter(configs.values())), JUDGED)
    sides = [_side(way, names, tests[way]) for way in OPPOSITE if any(way in directions(run) for run in runs)]
    facts = {name: read_facts(run) for name, run in names.items()}
    text = render(
        "compare.html.j2",
        names=list(names),
        sides=sides,
        judged={str(way): len(exam.inputs) for way, exam in tests.items()},
        differences=_differences({name: flat(to_tree(config)) for name, config in configs.items()}),
        scores=_scores(facts),
        facts=facts,
        charts=[chart.plain() for chart in _charts(facts)],
    )
    with replacing(out) as temporary:
        temporary.write_text(text, "utf-8")


def _refuse_other_channels(configs: Mapping[str, Config]) -> None:
    channels = {name: (config.data.channels_a, config.data.channels_b) for name, config in configs.items()}
    if len(set(channels.values())) > 1:
        said = ", ".join(f"{name} {a} and {b}" for name, (a, b) in channels.items())
        raise ValueError(f"runs on pictures of different channels cannot be compared ({said})")


def short(runs: Sequence[Path]) -> list[str]:
    """Return names of folders that are as short as they can be and still differ."""
    texts = [run.resolve().as_posix() for run in runs]
    if len(set(texts)) < len(texts):
        raise ValueError("the same run is named twice")
    above = os.path.commonpath([run.resolve().parent for run in runs])
    return [text.removeprefix(above).lstrip("/") for text in texts]


def _side(direction: Direction, runs: Mapping[str, Path], exam: Exam) -> Side:
    able = {name: run for name, run in runs.items() if direction in directions(run)}
    made = {name: translated(run, direction, exam.inputs) for name, run in able.items()}
    paired = all(truth is not None for truth in exam.truths)
    figures = [*(TRUTH if paired else ()), KEPT, CHANGED]
    values = {name: _figures(exam, pictures) for name, pictures in {"untouched input": exam.inputs, **made}.items()}
    rivals = [values[name] for name in made]
    table = [
        Row(name, own, _best(own, rivals, figures) if name in made else frozenset()) for name, own in values.items()
    ]
    columns: dict[str, Sequence[Pixels | None]] = {"input": exam.inputs, **made}
    if any(truth is not None for truth in exam.truths):
        columns["true answer"] = exam.truths
    chosen = spread(range(len(exam.inputs)), SHOWN)
    rows = [[_picture(pictures[i]) for pictures in columns.values()] for i in chosen]
    return Side(direction, list(columns), rows, figures, table)


def _figures(exam: Exam, made: Sequence[Pixels]) -> dict[str, float]:
    pairs = list(zip(exam.inputs, made, strict=True))
    found = {
        KEPT.name: _mean([_kept(before, after) for before, after in pairs]),
        CHANGED.name: _mean([l1(before, after) for before, after in pairs if before.shape == after.shape]),
    }
    known = [(after, truth) for after, truth in zip(made, exam.truths, strict=True) if truth is not None]
    known = [(after, truth) for after, truth in known if after.shape == truth.shape]
    for figure, metric in zip(TRUTH, (psnr, l1), strict=True):
        found[figure.name] = _mean([metric(after, truth) for after, truth in known])
    return found


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _kept(before: Pixels, after: Pixels) -> float:
    """Return the correlation of brightness over the pixels of two pictures; 1 where one of them is flat."""
    one, other = (luminance(picture[:, :, :3]).astype(np.float64).ravel() for picture in (before, after))
    spread = one.std() * other.std()
    return float(((one - one.mean()) * (other - other.mean())).mean() / spread) if spread > 1e-9 else 1.0


def _best(own: Values, rivals: Sequence[Values], figures: Sequence[Figure]) -> frozenset[str]:
    """Return the names of the figures in which none of the rivals is better."""
    choose = {"↑": max, "↓": min}
    judged = [figure for figure in figures if figure.better]
    return frozenset(f.name for f in judged if own[f.name] == choose[f.better](values[f.name] for values in rivals))


def _picture(pixels: Pixels | None) -> Picture | None:
    if pixels is None:
        return None
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    return embed(image.convert("RGB") if image.mode != "RGBA" else image)


def _differences(trees: Mapping[str, Mapping[str, object]]) -> list[tuple[str, list[str]]]:
    """Return the keys that are not the same in all runs, with the value that each has; first those that all have."""
    keys = dict.fromkeys(key for tree in trees.values() for key in tree if key != "run")
    rows = [(key, [shown(tree[key]) if key in tree else ABSENT for tree in trees.values()]) for key in keys]
    differing = [(key, values) for key, values in rows if len(set(values)) > 1]
    return sorted(differing, key=lambda row: ABSENT in row[1])


def _scores(facts: Mapping[str, Facts]) -> list[dict[str, Any]]:
    """Return what `viceversa evaluate` measured of the runs, a line each."""
    lines = [(name, history[-1]) for name, own in facts.items() for history in histories(own)]
    return [{"run": name, "score": score} for name, score in sorted(lines, key=lambda x: (x[1].direction, x[1].metric))]


def _charts(facts: Mapping[str, Facts]) -> list[Chart]:
    """Return how close the sample pictures came to the true answer, one curve a run, where it is known."""
    films = {name: frames(own.sheets) for name, own in facts.items()}
    found = []
    for direction in OPPOSITE:
        steps = sorted({frame.step for film in films.values() for frame in film})
        chart = Chart(f"{direction}: sample pictures, closeness to the true answer, dB ↑", "PSNR.", steps)
        for name, film in films.items():
            values = {frame.step: mean_closeness(frame).get(direction, (None,))[0] for frame in film}
            if any(value is not None for value in values.values()):
                chart.add(name, [values.get(step) for step in steps])
        if chart.series:
            found.append(chart)
    return found
