"""Which recipe would we give a friend? Variants of CycleGAN and CUT at equal computing time, on several data sets.

    python benchmarks/modern.py cost  OUT emoji=FOLDER water2wine=FOLDER       # seconds per step of every variant
    python benchmarks/modern.py train OUT emoji=FOLDER --seconds 150 --seeds 0 1 2 --only base resize
    python benchmarks/modern.py table OUT                                      # scores of all that has been trained

Every run gets the same processor seconds on one thread: its length in steps is `--seconds` over its measured cost of a
step; or, with `--steps`, so many steps whatever they cost. Runs that are done are kept, so the same command again goes
on. docs/modern.md says what came of it, and docs/performance.md what came of bf16 against fp32.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from viceversa import engine, methods
from viceversa.config import Config, load_config
from viceversa.data import open_loader
from viceversa.engine.learner import Learner

SMALL = [
    *("data.load=72", "data.crop=64", "data.workers=0", "generator.width=16", "generator.blocks=3"),
    *("discriminator.width=24", "train.precision=bf16", "train.channels_last=true", "train.ema=0.995"),
    *("train.threads=1", "train.samples=6"),
]
PER_DATA = {
    "emoji": ["data.paired_test=true", "data.flip=false"],
    "water2wine": ["data.paired_test=true", "data.load=64"],
    "face2anime": [],
}
LAYERS = "method.layers=[input, down1, down2, block1, block3]"
COLUMNS = (("kid", 1000, 1), ("psnr", 1, 2), ("l1", 1, 3))
DEMO = [*("train.batch=2", "train.lr=3e-4", "method.cycle_x=5", "method.cycle_y=5"), "generator.upsample=resize"]
RESIZE = ["generator.upsample=resize"]
WIDE = [*RESIZE, "generator.width=32", "generator.blocks=4", "discriminator.width=32"]  # so that Winograd takes part
VARIANTS: dict[str, list[str]] = {
    "base": ["cyclegan"],
    "no EMA": ["cyclegan", "train.ema=0"],
    "fp32": ["cyclegan", "train.precision=fp32"],
    "resize": ["cyclegan", *RESIZE],
    "blur": ["cyclegan", "generator.upsample=blur"],
    "antialias": ["cyclegan", "generator.upsample=blur", "generator.antialias=true"],
    "mask": ["cyclegan", "generator.mask=true"],
    "mask, identity 0": ["cyclegan", "generator.mask=true", "method.identity=0"],
    "mask, identity 0.1": ["cyclegan", "generator.mask=true", "method.identity=0.1"],
    "demo's": ["cyclegan", "generator.mask=true", "method.identity=0", *DEMO],
    "hinge": ["cyclegan", "objective=hinge"],
    "batch 2": ["cyclegan", "train.batch=2"],
    "batch 4, lr x2": ["cyclegan", "train.batch=4", "train.lr=4e-4"],
    "lr x2": ["cyclegan", "train.lr=4e-4"],
    "cycle 5": ["cyclegan", "method.cycle_x=5", "method.cycle_y=5"],
    "identity 0": ["cyclegan", "method.identity=0"],
    "wide, shallow": ["cyclegan", "generator.width=20", "generator.blocks=1"],
    "narrow, deep": ["cyclegan", "generator.width=12", "generator.blocks=8"],
    "small D": ["cyclegan", "discriminator.width=16", "discriminator.layers=2"],
    "R1": ["cyclegan", "objective.r1=1"],
    "spectral D": ["cyclegan", "discriminator.norm=spectral"],
    "augmented D": ["cyclegan", "discriminator.augment=[color, shift, cutout]"],
    "cut": ["cut", LAYERS],
    "cut, plain": ["cut", LAYERS, "generator.antialias=false", "discriminator.antialias=false", *RESIZE],
    "fastcut": ["fastcut", LAYERS],
    "wide, bf16": ["cyclegan", *WIDE],
    "wide, fp32": ["cyclegan", *WIDE, "train.precision=fp32"],
}


def config_of(variant: str, data: str, folder: str, *more: str) -> Config:
    """Return the configuration of a variant on a data set."""
    preset, *changes = VARIANTS[variant]
    words = [*SMALL, *PER_DATA.get(data, []), *changes, f"data.root={folder}", *more]
    return methods.complete(load_config(preset, words))


def costs(configs: dict[str, Config], rounds: int) -> dict[str, float]:
    """Return the processor seconds of a step of each configuration: the median of interleaved rounds."""
    learners = {}
    for name, config in configs.items():
        stream = open_loader(config)
        learners[name] = Learner(config, stream.steps_per_epoch()), stream.batches(0)
    times: dict[str, list[float]] = {name: [] for name in configs}
    for _ in range(rounds + 1):
        for name, (learner, batches) in learners.items():
            start = time.process_time()
            for batch in itertools.islice(batches, 3):
                learner.train_step(batch)
            times[name].append((time.process_time() - start) / 3)
    return {name: statistics.median(found[1:]) for name, found in times.items()}


def measure(out: Path, folders: dict[str, str], names: list[str]) -> None:
    """Write the cost of a step of every variant on the first data set; all have pictures of one size."""
    data, folder = next(iter(folders.items()))
    known = json.loads(out.joinpath("cost.json").read_text()) if out.joinpath("cost.json").is_file() else {}
    found = costs({name: config_of(name, data, folder) for name in names}, rounds=5)
    out.mkdir(parents=True, exist_ok=True)
    out.joinpath("cost.json").write_text(json.dumps(known | found, indent=1))
    for name, seconds in found.items():
        print(f"{name:18} {seconds * 1000:8.1f} ms")


def lengths(out: Path, names: list[str], seconds: float, steps: int | None) -> dict[str, int]:
    """Return the steps that each variant is trained."""
    if steps:
        return dict.fromkeys(names, steps)
    cost = json.loads(out.joinpath("cost.json").read_text())
    return {name: int(seconds / cost[name]) for name in names}


def train(out: Path, folders: dict[str, str], length: dict[str, int], seeds: list[int]) -> None:
    """Train every variant on every data set with every seed, for so many steps."""
    for seed, (data, folder), (name, steps) in itertools.product(seeds, folders.items(), length.items()):
        run = out / data / slug(name) / str(seed)
        if (run / "done").is_file():
            continue
        schedule = [f"train.length={steps} steps", f"train.decay={steps // 2} steps"]
        often = [f"train.{key}_every={max(1, steps // 4)} steps" for key in ("save", "sample")]
        config = config_of(name, data, folder, *schedule, *often, f"run={run}", f"seed={seed}", "train.keep=1")
        start = time.process_time()
        engine.train(config)
        run.joinpath("done").write_text(json.dumps({"steps": steps, "seconds": time.process_time() - start}))


def scores(run: Path) -> dict[str, float]:
    """Return a run's scores, the mean of both directions, and those of the untouched input."""
    if not (run / "metrics.jsonl").is_file():
        words = ["evaluate", str(run), "--metrics", "psnr,l1,kid"]
        subprocess.run([sys.executable, "-m", "viceversa", *words], check=True, stdout=subprocess.DEVNULL)
    found: dict[str, list[float]] = {}
    for line in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()):
        name = line["metric"].split("[")[0]
        found.setdefault(name, []).append(line["value"])
        if "input" in (line["baseline"] or {}):
            found.setdefault(f"input {name}", []).append(line["baseline"]["input"])
    return {name: statistics.mean(values) for name, values in found.items()}


def table(out: Path, names: list[str]) -> None:
    """Print a Markdown table of all that has been trained: mean and, of several seeds, standard deviation."""
    for data in sorted(folder for folder in out.iterdir() if folder.is_dir()):
        print(f"\n{data.name}\n\n| variant | seconds | steps | KID x 1000 | PSNR, dB | L1 |\n|---|---|---|---|---|---|")
        for name in names:
            runs = sorted(done.parent for done in (data / slug(name)).glob("*/done"))
            if runs:
                found = [scores(run) for run in runs]
                done = [json.loads((run / "done").read_text()) for run in runs]
                seconds = statistics.median(fact["seconds"] for fact in done)
                cells = [spread(found, key, factor, digits) for key, factor, digits in COLUMNS]
                print(f"| {name} | {seconds:.0f} | {done[0]['steps']} | {' | '.join(cells)} |")
                last = [spread(found, f"input {key}", factor, digits) for key, factor, digits in COLUMNS]
        print(f"| *untouched input* | | | {' | '.join(last)} |")


def spread(found: list[dict[str, float]], key: str, factor: float, digits: int) -> str:
    """Write a mean over seeds, with its standard deviation."""
    values = [scores[key] * factor for scores in found if key in scores]
    if not values:
        return ""
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{deviation}"


def slug(name: str) -> str:
    """Return a variant's folder name."""
    return name.replace(" ", "_").replace(",", "").replace("'", "")


def main() -> None:
    """Run the command line above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["cost", "train", "table"])
    parser.add_argument("out", type=Path)
    parser.add_argument("data", nargs="*", help="NAME=FOLDER")
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--only", nargs="*", default=list(VARIANTS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    folders = dict(word.split("=", 1) for word in args.data)
    if args.what == "cost":
        measure(args.out, folders, args.only)
    elif args.what == "train":
        train(args.out, folders, lengths(args.out, args.only, args.seconds, args.steps), args.seeds)
    else:
        table(args.out, args.only)


if __name__ == "__main__":
    main()
