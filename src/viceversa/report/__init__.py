"""A run as one page: report.html, a single file that needs no network, and what stands on it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from viceversa import __version__, methods
from viceversa.config import Config, flat, load_config, meanings, presets, to_tree
from viceversa.engine.run_dir import Line, RunRecord, read_run
from viceversa.files import replacing
from viceversa.report.curves import log_charts, score_charts
from viceversa.report.samples import EmbeddedImage, embed, films, read_frames, spread
from viceversa.report.scores import best, cautions, histories, sample_histories, verdicts

if TYPE_CHECKING:
    from jinja2 import Environment

NAME = "report.html"
SOURCES = ("config.yaml", "log.jsonl", "events.jsonl", "metrics.jsonl", "doctor.jsonl", "samples")
TEMPLATES = Path(__file__).parent / "templates"
HEADLINES = 3  # test images of each direction at the top
PAIRED = "The training images are paired: each comes with its translation."
METHODS = {"cyclegan": "CycleGAN", "cyclegan-vae": "CycleGAN-VAE", "cut": "CUT"}  # others are called what they are
KINDS_OF_DATA = {
    "unpaired": "The training images are unpaired: no image comes with its translation.",
    "aligned": PAIRED,
    "paired": PAIRED,
}


def write(run: Path) -> Path:
    """Write RUN/report.html from what the run's folder holds, and return its path; cheap enough between two steps."""
    path = run / NAME
    text = render("report.html.j2", **content(read_run(run)))
    with replacing(path, durable=False) as temporary:
        temporary.write_text(text, "utf-8")
    return path


def stale(run: Path) -> bool:
    """Whether the run's folder has changed since its report was written."""
    page = run / NAME
    sources = [run / name for name in SOURCES]
    return not page.is_file() or any(s.exists() and s.stat().st_mtime > page.stat().st_mtime for s in sources)


def content(record: RunRecord) -> dict[str, Any]:
    """Return the values that report.html.j2 names."""
    frames = read_frames(record)
    shown = films(frames)
    every = histories(record) + sample_histories(frames)
    scores = histories(record) or every
    latest = [history[-1] for history in scores]
    charts = score_charts([(history[-1].direction, history) for history in every]) + log_charts(record)
    return {
        "name": "/".join(record.run.resolve().parts[-2:]),
        "record": record,
        "summary": summary(record, list(shown)),
        "status": status(record),
        "live": record.ended is None,
        "headlines": {direction: spread(rows, HEADLINES) for direction, rows in shown.items()},
        "films": shown,
        "steps": [frame.step for frame in frames],
        "time": lambda step: duration(record.seconds_at(step)) if record.speeds else "",
        "scores": [{"last": history[-1], "best": best(history)} for history in scores],
        "verdicts": verdicts(latest),
        "cautions": cautions(record, latest),
        "findings": [{**line, "image": _picture(record.run, line)} for line in current(record.findings)],
        "charts": [
            {**asdict(chart), "times": [duration(record.seconds_at(step)) for step in chart.steps]} for chart in charts
        ],
        "preset": nearest_preset(record.config)[0],
        "differences": differences(record.config),
        "environment": record.started.get("environment", {}),
        "reproduce": shell("train", str(record.run / "config.yaml"), "run=runs/again"),
    }


def summary(record: RunRecord, directions: Sequence[str]) -> str:
    """Say in a sentence or two what was trained."""
    data, method = record.config.data, str(record.config.method["name"])
    folders = {"A": data.a, "B": data.b}
    source, target = (directions[0] if directions else "AtoB").split("to")
    names = {d: f"domain {d}" + (f" ({Path(folder).name})" if folder else "") for d, folder in folders.items()}
    back = ", and back" if len(directions) > 1 else ""
    kind = str(record.started.get("data", "")).partition(":")[0]
    return (
        f"A {METHODS.get(method, method)} model that translates images of {names[source]} into {names[target]}{back}. "
        f"It was trained on crops of {data.crop} × {data.crop} pixels. {KINDS_OF_DATA.get(kind, '')}"
    ).rstrip()


def status(record: RunRecord) -> dict[str, Any]:
    """Return how far the training is: a word, the share done, and what is known of the time."""
    done = record.step / record.total if record.total else None
    words = {"finished": "finished", "interrupted": "interrupted", None: "in training"}[record.ended]
    taken = f"{duration(record.seconds)} so far" if record.ended is None else f"took {duration(record.seconds)}"
    left = ""
    if record.ended is None and record.total and record.speeds:
        speed = record.speeds[max(record.speeds)]
        left = f"about {duration((record.total - record.step) * record.images_per_step / speed)} left" if speed else ""
    return {"word": words, "share": done, "taken": taken if record.speeds else "", "left": left}


@lru_cache
def _known() -> dict[str, dict[str, object]]:
    return {name: flat(to_tree(methods.resolve(load_config(name)))) for name in presets()}


def nearest_preset(config: Config) -> tuple[str, dict[str, object]]:
    """Return the preset from which the fewest keys differ, and the values that it has there; not the run's folder."""
    own = flat(to_tree(config))
    found = {}
    for preset, values in _known().items():
        differing = [key for key in own if key != "run" and (key not in values or own[key] != values[key])]
        found[preset] = {key: values.get(key) for key in differing}
    nearest = min(found, key=lambda name: (len(found[name]), name))
    return nearest, found[nearest]


def differences(config: Config) -> list[tuple[str, str, str, str]]:
    """Return what is not as in the nearest preset: key, value here, value there, what the key means."""
    meaning, own = meanings(methods.describe(config)), flat(to_tree(config))
    return [
        (key, shown(own[key]), shown(there), meaning.get(key, "")) for key, there in nearest_preset(config)[1].items()
    ]


def shell(*words: str) -> str:
    """Return a viceversa command that can be pasted into a shell."""
    return shlex.join(["viceversa", *words])


def shown(value: Any) -> str:
    """Return a value as one would type it."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def current(findings: Sequence[Line]) -> list[Line]:
    """Return the latest line of each finding, errors before warnings before notes."""
    latest = {line["finding"]: line for line in findings}
    order = ["error", "warning", "note"]
    return sorted(latest.values(), key=lambda line: order.index(line["severity"]))


def _picture(run: Path, line: Mapping[str, Any]) -> EmbeddedImage | None:
    """Return the image of a finding, if there is one, it lies in the run, and it can be read."""
    path = run / str(line.get("picture") or "")
    if not path.is_file() or run.resolve() not in path.resolve().parents:
        return None
    try:
        with Image.open(path) as image:
            return embed(image.convert("RGB"), 512)
    except Exception:  # on damaged files Pillow raises nearly anything
        return None


def render(template: str, **values: Any) -> str:
    """Return a page; in HTML, values are escaped, styles and scripts of the package are not."""
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return readable(_environment().get_template(template).render(now=now, version=__version__, **values))


def readable(text: str) -> str:
    """Return text that can be encoded: what is not UTF-8 in the name of a file becomes a replacement character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def duration(seconds: float) -> str:
    """Return a length of time in words: `3 min 34 s`, `2 h 5 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} days {hours % 24} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


@lru_cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape  # no training waits for it
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"thousands": "{:,}".format, "figure": "{:.4g}".format, "duration": duration}
    environment.globals["shell"] = shell
    environment.globals["asset"] = lambda name: Markup((TEMPLATES / name).read_text("utf-8"))
    return environment
