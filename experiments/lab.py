"""What the experiments share: train every arm with every seed, measure it, print means and standard deviations.

Arms are words of a command line on top of `small.yaml`. What is measured goes to `results.jsonl` beside the runs, a
line each; an arm and seed that is there already is not trained again, so a stopped experiment continues.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev

import numpy as np

import viceversa
from viceversa.data import water2wine
from viceversa.metrics.paired import psnr
from viceversa.report.figure import columns_of

SMALL = Path(__file__).with_name("small.yaml")
QUICK = ["data.load=32", "data.crop=32", "train.length=4 steps", "train.decay=2 steps"]
Words = Sequence[str]
Images = list[np.ndarray]
Measure = Callable[[Path, Images, Images, Images], Mapping[str, float]]
"""(run, inputs, translations, true answers) of the test pictures -> figures, by the heading of their column."""


def study(
    doc: str,
    arms: Mapping[str, Words],
    measure: Measure,
    *,
    common: Words = (),
    seeds: int = 3,
    pictures: Mapping[str, int] | None = None,
) -> None:
    """Run the experiment that a script describes, and print its table.

    `common` are words for all arms; `pictures` the number of training pictures of a domain, by arm, 200 unless said.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="four steps with eight pictures, for the tests")
    parser.add_argument("--seeds", type=int, default=seeds, help="training runs of each arm")
    parser.add_argument("--arms", nargs="*", default=list(arms), metavar="ARM", help="only these rows of the table")
    parser.add_argument("--out", type=Path, default=Path("runs/experiments"), help="folder for runs and results")
    options = parser.parse_args()
    folder = options.out / Path(parser.prog).stem
    for seed in range(options.seeds):
        for arm in options.arms:
            count = 8 if options.quick else (pictures or {}).get(arm, 200)
            words = [*common, *arms[arm], *(QUICK if options.quick else [])]
            if not any((line["arm"], line["seed"]) == (arm, seed) for line in results(folder)):
                run(folder, arm, seed, words, count, measure)
    print(table(results(folder)))


def run(folder: Path, arm: str, seed: int, words: Words, count: int, measure: Measure) -> None:
    """Train one arm with one seed, measure it on the test pictures and keep the figures."""
    place = folder / f"{arm.replace(' ', '-').replace('/', '-')}-{seed}"
    config = viceversa.load_config(SMALL, [*words, f"run={place}", f"seed={seed}"])
    data = glasses(folder.parent, count, config.data.crop)
    start = time.process_time()
    viceversa.train(viceversa.load_config(SMALL, [*words, f"run={place}", f"seed={seed}", f"data.root={data}"]))
    seconds = time.process_time() - start
    before, after, truth = columns_of(place, ["input", "AtoB", "truth"], 40).values()
    quality = mean([psnr(image, other) for image, other in zip(after, truth, strict=True)])
    found = {"PSNR, dB": quality, **measure(place, before, after, truth), "seconds": seconds}
    with (folder / "results.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"arm": arm, "seed": seed, **found}) + "\n")


def glasses(folder: Path, count: int, size: int) -> Path:
    """Return a set of water2wine, made if missing: `count` training pictures of each domain, 40 test pairs or fewer."""
    root = folder / f"water2wine-{size}-{count}"
    if not root.is_dir():
        water2wine.make(root, size=size, count=count, test=min(count, 40))
    return root


def results(folder: Path) -> list[dict]:
    """Return the lines that have been written."""
    path = folder / "results.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def table(lines: Sequence[dict]) -> str:
    """Return a Markdown table with a row for each arm: mean and standard deviation over its seeds."""
    columns = [key for key in lines[0] if key not in ("arm", "seed")]
    rows = [f"| | seeds | {' | '.join(columns)} |", "|---" * (len(columns) + 2) + "|"]
    for arm in dict.fromkeys(line["arm"] for line in lines):
        own = [line for line in lines if line["arm"] == arm]
        cells = [spread([line[column] for line in own]) for column in columns]
        rows.append(f"| {arm} | {len(own)} | {' | '.join(cells)} |")
    return "\n".join(rows)


def spread(values: Sequence[float]) -> str:
    """Return mean and standard deviation, with as many digits as they are worth."""
    digits = 2 if max(map(abs, values)) < 10 else 1 if max(map(abs, values)) < 100 else 0
    return f"{mean(values):.{digits}f} ± {stdev(values) if len(values) > 1 else 0:.{digits}f}"


def floats(images: Images) -> np.ndarray:
    """Return images (N, H, W, C) in [-1, 1]."""
    return np.stack(images) / 127.5 - 1


def last_losses(run: Path) -> dict[str, float]:
    """Return the losses in the last line of the log."""
    return json.loads((run / "log.jsonl").read_text("utf-8").splitlines()[-1])["losses"]
