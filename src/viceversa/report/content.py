"""What stands on a run's page, ready for the template."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from viceversa.report.advice import advice
from viceversa.report.curves import charts, mean_closeness
from viceversa.report.facts import Facts
from viceversa.report.films import Frame, Picture, embed, exhibits, frames, spread
from viceversa.report.html import duration
from viceversa.report.lines import Line
from viceversa.report.scores import Score, best, histories
from viceversa.report.settings import command, differences, nearest_preset

HEADLINES = 3  # pictures of each direction at the top
PAIRS = "They learned from pairs: every picture came with its answer."
KNOWN = {
    "unpaired": "They never saw a picture together with its answer: the two worlds are two separate piles of pictures.",
    "aligned": PAIRS,
    "paired": PAIRS,
}


def content(facts: Facts) -> dict[str, Any]:
    """Return the values that report.html.j2 names."""
    films = frames(facts.sheets)
    shown = exhibits(films)
    scores = histories(facts) or _from_samples(films)
    preset = nearest_preset(facts.config)
    return {
        "name": "/".join(facts.run.resolve().parts[-2:]),
        "facts": facts,
        "what": what(facts, list(shown)),
        "status": status(facts),
        "live": facts.ended is None,
        "headlines": {direction: spread(rows, HEADLINES) for direction, rows in shown.items()},
        "exhibits": shown,
        "steps": [frame.step for frame in films],
        "scores": [{"last": history[-1], "best": best(history)} for history in scores],
        "verdicts": verdicts([history[-1] for history in scores]),
        "findings": [{**line, "image": _picture(facts.run, line)} for line in current(facts.findings)],
        "advice": advice(facts, scores),
        "charts": [chart.plain() for chart in charts(facts, films)],
        "preset": preset,
        "differences": differences(facts.config, preset),
        "environment": facts.started.get("environment", {}),
        "reproduce": [
            command(facts.config, "runs/again"),
            shlex.join(["viceversa", "train", str(facts.run / "config.yaml"), "run=runs/again"]),
        ],
    }


def what(facts: Facts, directions: Sequence[str]) -> str:
    """Say in a sentence or two what was trained."""
    data, method = facts.config.data, facts.config.method["name"]
    folders = {"A": data.a, "B": data.b}
    source, target = (directions[0] if directions else "AtoB").split("to")
    names = {w: f"world {w}" + (f" ({Path(folder).resolve().name})" if folder else "") for w, folder in folders.items()}
    back = ", and back" if len(directions) > 1 else ""
    kind = str(facts.started.get("data", "")).partition(":")[0]
    return (
        f"A {method} training: networks learn to turn pictures of {names[source]} into those of {names[target]}{back}. "
        f"They work on {data.crop} × {data.crop} pixels. {KNOWN.get(kind, '')}"
    ).rstrip()


def status(facts: Facts) -> dict[str, Any]:
    """Return how far the training is: a word, the share done, and what is known of the time."""
    done = facts.step / facts.total if facts.total else None
    words = {"finished": "finished", "interrupted": "interrupted", None: "in training"}[facts.ended]
    taken = f"{duration(facts.seconds)} so far" if facts.ended is None else f"took {duration(facts.seconds)}"
    left = ""
    if facts.ended is None and facts.total and facts.speeds:
        left = f"about {duration((facts.total - facts.step) * facts.images_per_step / facts.speeds[-1][1])} left"
    return {"word": words, "share": done, "taken": taken if facts.speeds else "", "left": left}


def verdicts(scores: Sequence[Score]) -> list[tuple[str, str]]:
    """Return direction and sentence; of several metrics that say the same, the first says it."""
    said: dict[tuple[str, str], str] = {}
    for score in scores:
        if score.verdict:
            said.setdefault((score.way, score.verdict.partition(" (")[0]), score.verdict)
    return [(way, words) for (way, _), words in said.items()]


def current(findings: Sequence[Line]) -> list[Line]:
    """Return the last word on each finding, errors before warnings before notes."""
    latest = {line["finding"]: line for line in findings}
    order = ["error", "warning", "note"]
    return sorted(latest.values(), key=lambda line: order.index(line.get("severity", "note")))


def _from_samples(films: Sequence[Frame]) -> list[list[Score]]:
    """Return how close the sample pictures are to the true answer, for runs that nobody evaluated."""
    about = "mean over the sample pictures"
    found: dict[str, list[Score]] = {}
    for frame in films:
        for direction, (value, untouched) in mean_closeness(frame).items():
            score = Score(direction, "psnr", value, frame.step, baselines={"input": untouched}, about=about)
            found.setdefault(direction, []).append(score)
    return list(found.values())


def _picture(run: Path, line: Mapping[str, Any]) -> Picture | None:
    """Return the picture of a finding, if there is one and it lies in the run."""
    path = run / str(line.get("picture") or "")
    if not path.is_file() or run.resolve() not in path.resolve().parents:
        return None
    with Image.open(path) as image:
        return embed(image.convert("RGB"), 512)
