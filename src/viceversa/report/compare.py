"""Runs side by side: the same inputs through each of them, their scores, and how their configurations differ."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from viceversa.config import Config, Direction, flat, to_tree
from viceversa.data.grid import on_paper, viewable
from viceversa.data.image_data import luminance
from viceversa.engine.run_dir import RunRecord, read_run
from viceversa.files import replacing
from viceversa.metrics.paired import l1, psnr
from viceversa.paths import weights_file
from viceversa.report.commands import shown
from viceversa.report.curves import Chart
from viceversa.report.figure import (
    OPPOSITE,
    Pair,
    Uint8Image,
    directions,
    load_pairs,
    translated,
)
from viceversa.report.page import render
from viceversa.report.samples import EmbeddedImage, embed, read_frames, spread
from viceversa.report.scores import METRICS, MetricWords, histories

SHOWN = 8  # inputs on the page; measures are means over all test images, up to
MEASURED = 100
ABSENT = "–"  # an option of another method
MEASURES = {
    "psnr": METRICS["psnr"],
    "l1": METRICS["l1"],
    "brightness": MetricWords("brightness kept", "Correlation of brightness, input and translation; -1: inverted."),
    "change": MetricWords("change", "Mean absolute difference of input and translation."),
}


def compare(runs: Sequence[Path], out: Path) -> None:
    """Write a page that compares runs on the test images of the first one's data.

    Raises FileNotFoundError or ValueError, with the remedy, for a run without weights and for data that are not there.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{out}: the last argument is the page to write; name a .html file")
    if len(runs) < 2:
        raise ValueError("a comparison needs two runs or more: viceversa compare RUN RUN OUT.html")
    names = dict(zip(short(runs), runs, strict=True))
    for run in runs:
        weights_file(run)  # which raises, with the remedy, if there are none
    records = {name: read_run(run) for name, run in names.items()}
    configs = {name: record.config for name, record in records.items()}
    _refuse_other_channels(configs)
    pairs = load_pairs(next(iter(configs.values())), MEASURED)
    text = render(
        "compare.html.j2",
        names=list(names),
        sides=[_side(way, names, pairs[way]) for way in OPPOSITE if any(way in directions(run) for run in runs)],
        differences=_differences({name: flat(to_tree(config)) for name, config in configs.items()}),
        scores=_scores(records),
        records=records,
        charts=[asdict(chart) for chart in _charts(records)],
    )
    with replacing(out) as temporary:
        temporary.write_text(text, "utf-8")


def _refuse_other_channels(configs: Mapping[str, Config]) -> None:
    channels = {name: (config.data.channels_a, config.data.channels_b) for name, config in configs.items()}
    if len(set(channels.values())) > 1:
        said = ", ".join(f"{name} {a} and {b}" for name, (a, b) in channels.items())
        raise ValueError(f"runs on images of different channels cannot be compared ({said})")


def short(runs: Sequence[Path]) -> list[str]:
    """Return names of folders that are as short as they can be and still differ."""
    texts = [run.resolve().as_posix() for run in runs]
    if len(set(texts)) < len(texts):
        raise ValueError("the same run is named twice")
    above = os.path.commonpath([run.resolve().parent for run in runs])
    return [text.removeprefix(above).lstrip("/") for text in texts]


def _side(direction: Direction, runs: Mapping[str, Path], pairs: Sequence[Pair]) -> dict[str, Any]:
    """Return what the page shows of one direction: what the runs make of the same inputs."""
    inputs, truths = [x for x, _ in pairs], [y for _, y in pairs]
    made = {name: translated(run, direction, inputs) for name, run in runs.items() if direction in directions(run)}
    values = {name: measure(pairs, images) for name, images in {"untranslated input": inputs, **made}.items()}
    known = all(truth is not None for truth in truths)
    rivals = [values[name] for name in made]
    columns: dict[str, Sequence[Uint8Image | None]] = {"input": inputs, **made}
    if any(truth is not None for truth in truths):
        columns["ground truth"] = truths
    return {
        "direction": direction,
        "count": len(pairs),
        "measures": {name: words for name, words in MEASURES.items() if known or not words.better},
        "table": {name: (own, best(own, rivals) if name in made else ()) for name, own in values.items()},
        "columns": list(columns),
        "rows": [[_embedded(images[i]) for images in columns.values()] for i in spread(range(len(pairs)), SHOWN)],
    }


def measure(pairs: Sequence[Pair], made: Sequence[Uint8Image]) -> dict[str, float]:
    """Return the values of all measures, means over the test images; NaN where there is nothing to measure."""
    changes = [(before, after) for (before, _), after in zip(pairs, made, strict=True)]
    known = [(after, y) for (_, y), after in zip(pairs, made, strict=True) if y is not None and y.shape == after.shape]
    return {
        "psnr": _mean([psnr(after, truth) for after, truth in known]),
        "l1": _mean([l1(after, truth) for after, truth in known]),
        "brightness": _mean([_brightness_kept(before, after) for before, after in changes]),
        "change": _mean([l1(before, after) for before, after in changes if before.shape == after.shape]),
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _brightness_kept(before: Uint8Image, after: Uint8Image) -> float:
    """Return the correlation of brightness over the pixels of two images; 1 where one of them is flat."""
    x, y = (luminance(image[:, :, :3]).astype(np.float64).ravel() for image in (before, after))
    spread = x.std() * y.std()
    return float(((x - x.mean()) * (y - y.mean())).mean() / spread) if spread > 1e-9 else 1.0


def best(own: Mapping[str, float], rivals: Sequence[Mapping[str, float]]) -> frozenset[str]:
    """Return the measures in which none of the rivals is better."""
    judged = {name: words for name, words in MEASURES.items() if words.better}
    return frozenset(n for n, words in judged.items() if not any(words.better_than(r[n], own[n]) for r in rivals))


def _embedded(pixels: Uint8Image | None) -> EmbeddedImage | None:
    return None if pixels is None else embed(on_paper(viewable(pixels)))


def _differences(trees: Mapping[str, Mapping[str, object]]) -> list[tuple[str, list[str]]]:
    """Return the keys that are not the same in all runs, with the value that each has; first those that all have."""
    keys = dict.fromkeys(key for tree in trees.values() for key in tree if key != "run")
    rows = [(key, [shown(tree[key]) if key in tree else ABSENT for tree in trees.values()]) for key in keys]
    differing = [(key, values) for key, values in rows if len(set(values)) > 1]
    return sorted(differing, key=lambda row: ABSENT in row[1])


def _scores(records: Mapping[str, RunRecord]) -> list[dict[str, Any]]:
    """Return what `viceversa evaluate` measured of the runs, a line each."""
    lines = [(name, history[-1]) for name, record in records.items() for history in histories(record)]
    return [{"run": name, "score": score} for name, score in sorted(lines, key=lambda x: (x[1].direction, x[1].metric))]


def _charts(records: Mapping[str, RunRecord]) -> list[Chart]:
    """Return how close the samples came to the ground truth, one curve a run, where it is known."""
    frames = {name: read_frames(record) for name, record in records.items()}
    found = []
    for direction in OPPOSITE:
        steps = sorted({frame.step for own in frames.values() for frame in own})
        chart = Chart(f"{direction}: samples, PSNR to the ground truth, dB ↑", "", steps)
        for name, own in frames.items():
            values = {frame.step: frame.psnr[direction][0] for frame in own if direction in frame.psnr}
            if values:
                chart.add(name, [values.get(step) for step in steps])
        if chart.series:
            found.append(chart)
    return found
