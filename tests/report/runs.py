"""Run folders as a training leaves them, made in a moment."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from viceversa import methods
from viceversa.config import load_config, to_yaml
from viceversa.engine import sample_history
from viceversa.engine.sample_history import Key

DATA = "unpaired: 40 A, 50 B; test split: 3 pairs"
LOSSES = ("gan_G", "gan_F", "cycle_X", "gan_D_Y")


def lines(path: Path, facts: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(fact) + "\n" for fact in facts), "utf-8")


def words(page: Path) -> str:
    """What a reader sees: no tags, no images, no scripts."""
    bare = re.sub(r"<(style|script).*?</\1>", " ", page.read_text("utf-8"), flags=re.S)
    return " ".join(re.sub(r"<[^>]*>", " ", bare).split())


def scene(seed: int, wine: float, size: int = 32) -> np.ndarray:
    """A bright square on a ground; `wine` between 0 and 1 turns it red."""
    rng = np.random.default_rng(seed)
    picture = np.full((size, size, 3), rng.integers(40, 160, 3), np.uint8)
    water = np.array([190, 200, 220])
    picture[8:24, 10:22] = water + wine * (np.array([150, 10, 40]) - water)
    return picture


def write_samples(run: Path, step: int, progress: float, rows: int = 3) -> None:
    images = {}
    for direction, start, end in (("AtoB", 0.0, 1.0), ("BtoA", 1.0, 0.0)):
        for row in range(rows):
            images[Key(direction, row, "input")] = scene(row, start)
            images[Key(direction, row, "translation")] = scene(row, start + progress * (end - start))
            images[Key(direction, row, "truth")] = scene(row, end)
    sample_history.write_samples(run / "samples", step, images)


def make_run(
    folder: Path, *overrides: str, steps: tuple[int, ...] = (0, 100, 200, 300, 400), finished: bool = True
) -> Path:
    run = folder / "water-to-wine"
    options = ["data.root=glasses", f"run={run}", "train.length=400 steps", "train.decay=200 steps", *overrides]
    config = methods.resolve(load_config("water2wine-small", options))
    for step in steps:
        write_samples(run, step, step / 400 * 0.9)
    (run / "config.yaml").write_text(to_yaml(config, methods.describe(config)), "utf-8")
    logged = range(50, steps[-1] + 1, 50)
    losses = [{n: 1 / (i + 2) + 10 / s for i, n in enumerate(LOSSES)} for s in logged]
    log = [{"step": s, "epoch": s // 40, "lr": 3e-4, "losses": v} for s, v in zip(logged, losses, strict=True)]
    lines(run / "log.jsonl", log)
    started = {"event": "started", "step": 0, "time": "2026-01-01T10:00:00+00:00", "data": DATA, "processes": 1}
    environment = {"environment": {"viceversa": "0.1.0", "processor": "abacus"}}
    speed = [{"event": "speed", "step": s, "images_per_second": 20.0} for s in logged]
    ended = [{"event": "finished", "step": steps[-1], "time": "2026-01-01T10:01:00+00:00"}] * finished
    lines(run / "events.jsonl", [{**started, **environment}, *speed, *ended])
    return run
