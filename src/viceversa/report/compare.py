"""Runs side by side: the same inputs through each of them, their scores, and how their configurations differ."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from viceversa.config import Direction, flat, to_tree
from viceversa.data.grid import on_paper, viewable
from viceversa.engine.run_dir import read_run
from viceversa.files import replacing
from viceversa.paths import directions
from viceversa.report import render, shown
from viceversa.report.curves import score_charts
from viceversa.report.figure import OPPOSITE, Pair, Uint8Image, load_pairs, translated
from viceversa.report.samples import embed, read_frames
from viceversa.report.scores import histories, sample_histories

SHOWN = 8  # inputs
ABSENT = "–"  # an option of another method


def compare(runs: Sequence[Path], out: Path) -> None:
    """Write a page that compares runs on the test images of the first one's data."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{out}: the last argument is the page to write; name a .html file")
    if len(runs) < 2:
        raise ValueError("a comparison needs two runs or more: viceversa compare RUN RUN OUT.html")
    names = dict(zip(short(runs), runs, strict=True))
    ways = {name: directions(run) for name, run in names.items()}  # or what is missing
    records = {name: read_run(run) for name, run in names.items()}
    configs = {name: record.config for name, record in records.items()}
    pairs = load_pairs(next(iter(configs.values())), SHOWN)
    scores = {name: histories(record) + sample_histories(read_frames(record)) for name, record in records.items()}
    latest = [(name, history[-1]) for name, own in scores.items() for history in own]
    charts = []
    for way in OPPOSITE:
        curves = [(name, history) for name, own in scores.items() for history in own if history[-1].direction == way]
        charts += [{**asdict(chart), "title": f"{way}: {chart.title}"} for chart in score_charts(curves)]
    text = render(
        "compare.html.j2",
        names=list(names),
        sides=[_side(way, names, pairs[way]) for way in OPPOSITE if any(way in own for own in ways.values())],
        differences=_differences({name: flat(to_tree(config)) for name, config in configs.items()}),
        scores=sorted(latest, key=lambda line: (line[1].direction, line[1].metric)),
        records=records,
        charts=charts,
    )
    with replacing(out) as temporary:
        temporary.write_text(text, "utf-8")


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
    columns: dict[str, Sequence[Uint8Image | None]] = {"input": inputs}
    columns |= {name: translated(run, direction, inputs) for name, run in runs.items() if direction in directions(run)}
    if any(truth is not None for truth in truths):
        columns["ground truth"] = truths
    rows = [
        [None if pixels is None else embed(on_paper(viewable(pixels))) for pixels in row]
        for row in zip(*columns.values(), strict=True)
    ]
    return {"direction": direction, "columns": list(columns), "rows": rows}


def _differences(trees: Mapping[str, Mapping[str, object]]) -> list[tuple[str, list[str]]]:
    """Return the keys that are not the same in all runs, with the value that each has; first those that all have."""
    keys = dict.fromkeys(key for tree in trees.values() for key in tree if key != "run")
    rows = [(key, [shown(tree[key]) if key in tree else ABSENT for tree in trees.values()]) for key in keys]
    differing = [(key, values) for key, values in rows if len(set(values)) > 1]
    return sorted(differing, key=lambda row: ABSENT in row[1])
