"""The demo: water into wine and back, from nothing to a picture and two figures in a few minutes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

import viceversa
from viceversa import report
from viceversa.config import Config, load_config
from viceversa.data import water2wine
from viceversa.data.grid import grid
from viceversa.data.image_data import Pixels
from viceversa.data.image_io import read_image, write_image
from viceversa.files import replacing
from viceversa.metrics.paired import psnr
from viceversa.paths import list_images
from viceversa.translator import Translator

PRESET = "water2wine-small"
SHOWN = 6  # rows of the before / after / truth picture


def run(out: Path, overrides: Sequence[str] = ()) -> dict[str, dict[str, float]]:
    """Draw the data set, train, translate the test set; everything lands in `out`. Return the figures.

    `out/metrics.json` holds {"AtoB": {"psnr": dB, "psnr_input": dB}, "BtoA": ...}: how close the translation, and the
    untouched input, come to the true answer, as a mean over the test pictures. The same call again continues.
    """
    config = load_config(PRESET, [f"data.root={out / 'data'}", f"run={out / 'run'}", *overrides])
    console = Console(highlight=False, soft_wrap=True)
    make_data(out / "data", config)
    console.print(f"{out}: data set drawn; training on them for a few minutes")
    viceversa.train(config)
    figures: dict[str, dict[str, float]] = {}
    columns: dict[str, list[Pixels]] = {}
    for direction, words in {"AtoB": "water to wine", "BtoA": "wine to water"}.items():
        inputs, results, truths = translate_test_set(out, direction)
        figures[direction] = {"psnr": mean_psnr(results, truths), "psnr_input": mean_psnr(inputs, truths)}
        spread = np.linspace(0, len(inputs) - 1, SHOWN).round().astype(int)
        names = ("before", "after", "truth")
        columns |= {
            f"{name} {words}" if name == "after" else f"{name}{' ' * bool(columns)}": [pictures[i] for i in spread]
            for name, pictures in zip(names, (inputs, results, truths), strict=True)
        }
        console.print(
            f"{words}: {figures[direction]['psnr']:.1f} dB to the true answer; "
            f"the untranslated input has {figures[direction]['psnr_input']:.1f} dB"
        )
    with replacing(out / "metrics.json") as temporary:
        temporary.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    with replacing(out / "before_after_truth.png") as temporary:
        grid(columns).save(temporary)
    console.print(f"look: {out / 'before_after_truth.png'}, and the whole run as one page: {out / 'run' / report.NAME}")
    return figures


def make_data(root: Path, config: Config) -> None:
    """Draw the data set, unless an earlier call did; it appears at once and whole."""
    if root.is_dir():
        return
    partial = root.with_name(f".{root.name}.partial")
    water2wine.make(partial, size=config.data.crop, seed=config.seed)
    partial.rename(root)


def translate_test_set(out: Path, direction: str) -> tuple[list[Pixels], list[Pixels], list[Pixels]]:
    """Translate the test pictures of one domain; return inputs, translations and true answers."""
    translator = Translator.load(out / "run", direction)  # type: ignore[arg-type]
    source, target = direction.split("to")
    inputs, results, truths = [], [], []
    for path in list_images(out / "data" / f"test{source}"):
        inputs.append(read_image(path).pixels)
        results.append(translator(inputs[-1]))
        truths.append(read_image(out / "data" / f"test{target}" / path.name).pixels)
        write_image(out / "translated" / direction / path.name, results[-1])
    return inputs, results, truths


def mean_psnr(pictures: Sequence[Pixels], truths: Sequence[Pixels]) -> float:
    """Return the mean over pictures of their PSNR to the truth, in dB."""
    return float(np.mean([psnr(picture, truth) for picture, truth in zip(pictures, truths, strict=True)]))
