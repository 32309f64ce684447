"""The demo: water into wine and back, from nothing to a picture and two figures in a few minutes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

import viceversa
from viceversa import report
from viceversa.config import Direction, load_config
from viceversa.data import water2wine
from viceversa.data.grid import grid
from viceversa.evaluate import evaluate_model
from viceversa.files import replacing
from viceversa.report.figure import Uint8Image, columns_of

PRESET = "water2wine-small"
SHOWN = 6  # rows of the before / after / truth picture
TESTED = 40  # test images
WORDS: dict[Direction, str] = {"AtoB": "water to wine", "BtoA": "wine to water"}


def run(out: Path, overrides: Sequence[str] = ()) -> dict[str, dict[str, float]]:
    """Draw the data set, train, translate the test set; everything lands in `out`. Return the figures.

    `out/metrics.json` holds {"AtoB": {"psnr": dB, "psnr_input": dB}, "BtoA": ...}: how close the translation, and the
    untouched input, come to the true answer, as a mean over the test pictures. The same call again continues.
    """
    config = load_config(PRESET, [f"data.root={out / 'data'}", f"run={out / 'run'}", *overrides])
    console = Console(highlight=False, soft_wrap=True)
    if not (out / "data").is_dir():
        water2wine.make(out / "data", size=config.data.crop, test=TESTED, seed=config.seed)
    console.print(f"{out}: data set drawn; training on them for a few minutes")
    viceversa.train(config)
    scores = {line["direction"]: line for line in evaluate_model(out / "run", metrics=["psnr"])}
    figures: dict[str, dict[str, float]] = {}
    columns: dict[str, list[Uint8Image]] = {}
    for direction, words in WORDS.items():
        value, untouched = scores[direction]["value"], scores[direction]["baseline"]["input"]
        figures[direction] = {"psnr": value, "psnr_input": untouched}
        before, after, truth = columns_of(out / "run", ["input", direction, "truth"], SHOWN).values()
        blank = " " * bool(columns)  # labels of columns differ
        columns |= {f"before{blank}": before, f"after {words}": after, f"truth{blank}": truth}
        console.print(f"{words}: {value:.1f} dB to the true answer; the untranslated input has {untouched:.1f} dB")
    with replacing(out / "metrics.json") as temporary:
        temporary.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    with replacing(out / "before_after_truth.png") as temporary:
        grid(columns).save(temporary)
    console.print(f"look: {out / 'before_after_truth.png'}, and the whole run as one page: {out / 'run' / report.NAME}")
    return figures
