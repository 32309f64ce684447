"""Draw a picture of the gallery from runs, sharp: every pixel of a network is a square of pixels.

python docs/gallery.py OUT.webp RUN                          some moments of its training, in every direction it learns
python docs/gallery.py OUT.webp style=RUN object=RUN ...     the last samples of runs, side by side
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from viceversa.config import Direction
from viceversa.data.grid import Columns, grid
from viceversa.engine.sample_history import Key, Kind, read_samples, sample_steps

WAYS: tuple[Direction, ...] = ("AtoB", "BtoA")
Images = dict[Key, Image.Image]


def column(images: Images, direction: Direction, kind: Kind, rows: list[int]) -> list[np.ndarray]:
    """Return the images of one kind, those that there are."""
    return [np.asarray(images[key]) for row in rows if (key := Key(direction, row, kind)) in images]


def moments(run: Path, rows: list[int], count: int) -> Columns:
    """Return inputs, translations at `count` steps, each about half of the next, and true answers."""
    steps = sample_steps(run / "samples")
    wanted = [steps[-1] / 2**n for n in reversed(range(count))]
    chosen = dict.fromkeys(min(steps, key=lambda step: abs(step - goal)) for goal in wanted)
    shown = {step: read_samples(run / "samples", step) for step in chosen}
    last = shown[max(shown)]
    ways = [way for way in WAYS if Key(way, rows[0], "translation") in last]
    columns = {"before": [image for way in ways for image in column(last, way, "input", rows)]}
    for step, images in shown.items():
        columns[f"step {step}"] = [image for way in ways for image in column(images, way, "translation", rows)]
    return columns | {"true answer": [image for way in ways for image in column(last, way, "truth", rows)]}


def side_by_side(runs: dict[str, Path], rows: list[int]) -> Columns:
    """Return the last samples of runs; those of the same test images share input and true answer."""
    columns: dict[str, list[np.ndarray]] = {}
    before: list[np.ndarray] = []
    truth: list[np.ndarray] = []
    blank = ""  # labels of columns differ
    for name, run in runs.items():
        images = read_samples(run / "samples", sample_steps(run / "samples")[-1])
        inputs = column(images, "AtoB", "input", rows)
        if not np.array_equal(inputs, before):
            columns |= {f"truth{blank}": truth, f" {blank}": []} if truth else {}
            blank += " "
            before, truth = inputs, column(images, "AtoB", "truth", rows)
            columns[f"before{blank}"] = before
        columns[name] = column(images, "AtoB", "translation", rows)
        if name == "object":
            columns["where"] = column(images, "AtoB", "mask", rows)
    return columns | {f"truth{blank}": truth}


def main() -> None:
    """Write the picture as lossless WebP."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", nargs="+", metavar="RUN or LABEL=RUN")
    parser.add_argument("--rows", type=int, nargs="+", default=[0, 1, 2], help="which test images")
    parser.add_argument("--moments", type=int, default=4)
    options = parser.parse_args()
    named = dict(word.split("=", 1) for word in options.runs if "=" in word)
    columns = (
        side_by_side({label: Path(run) for label, run in named.items()}, options.rows)
        if named
        else moments(Path(options.runs[0]), options.rows, options.moments)
    )
    grid(columns).save(options.out, lossless=True, method=6)


if __name__ == "__main__":
    main()
