"""How long until something happens? The help text, and a training's first step, against what nobody can do without.

Fresh processes, in turn, so that a busy machine is busy for all; seconds by the clock and of the processor. The help
text is held against `import typer`, the first step against `import torch`, with the time of the step and without.

    python benchmarks/startup.py [--preset cyclegan] [--rounds 7]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from viceversa.data import water2wine

SMALL = ("data.load=36", "data.crop=32", "generator.width=8", "discriminator.width=8", "train.length=1 step")
TRAIN = """
import multiprocessing, os, sys, time
from viceversa import engine, load_config
from viceversa.engine.learner import Learner

def once(self, *batch, step=Learner.train_step, **options):
    start = time.perf_counter(), time.process_time()
    step(self, *batch, **options)
    print(time.perf_counter() - start[0], time.process_time() - start[1])
    sys.stdout.flush()
    for worker in multiprocessing.active_children():
        worker.kill()
    os._exit(0)

Learner.train_step = once
engine.train(load_config(sys.argv[1], sys.argv[2:]))
"""


def cost(words: list[str]) -> tuple[float, float, str]:
    """Return the seconds that a fresh process takes, by the clock and of the processor, and what it says."""
    before, start = os.times(), time.perf_counter()
    said = subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True).stdout
    after = os.times()
    computed = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - start, computed, said


def compare(preset: str, folder: Path, rounds: int) -> None:
    """Print medians and the ratios of neighbours."""
    water2wine.make(folder / "data", size=64, count=12, test=4)
    words = {
        "import typer": ["-c", "import typer"],
        "viceversa --help": ["-m", "viceversa", "--help"],
        "import torch": ["-c", "import os, torch; os._exit(0)"],
        "first step": ["-c", TRAIN, preset, f"data.root={folder / 'data'}", *SMALL],
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in (*words, "the step itself")}
    for number in range(rounds + 1):
        for name, command in words.items():
            run = [f"run={folder / str(number)}"] if name == "first step" else []
            clock, processor, said = cost(command + run)
            times[name].append((clock, processor))
            if run:
                step = said.splitlines()[-1].split()
                times["the step itself"].append((float(step[0]), float(step[1])))
    times = {name: found[1:] for name, found in times.items()}  # the first round fills the disk's cache
    for name, found in times.items():
        clock, processor = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"{name:18} {clock:6.2f} s, of the processor {processor:6.2f} s")
    print(ratio("viceversa --help / import typer", times["viceversa --help"], times["import typer"]))
    print(ratio("first step / import torch", times["first step"], times["import torch"]))
    without = [(a - c, b - d) for (a, b), (c, d) in zip(times["first step"], times["the step itself"], strict=True)]
    print(ratio("  without the step itself", without, times["import torch"]))


def ratio(name: str, ours: list[tuple[float, float]], theirs: list[tuple[float, float]]) -> str:
    """Return the median and the spread of the ratios, by the clock and of the processor."""
    found = []
    for column in (0, 1):
        ratios = [one[column] / other[column] for one, other in zip(ours, theirs, strict=True)]
        found.append(f"{statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")
    return f"{name:32} {found[0]}, of the processor {found[1]}"


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--preset", default="cyclegan", help="what to train; default: cyclegan")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare(args.preset, Path(folder), args.rounds)


if __name__ == "__main__":
    main()
