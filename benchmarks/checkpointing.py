"""What does activation checkpointing cost, and what does it save? Steps of both kinds, each in processes of its own.

python benchmarks/checkpointing.py [PRESET] [KEY=VALUE ...] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

STEP = """
import json, resource, sys, time
import torch
from viceversa import load_config, methods
from viceversa.engine.learner import Learner

config = methods.complete(load_config(sys.argv[1], sys.argv[2:]))
learner = Learner(config, 1)
size = config.train.batch, 3, config.data.crop, config.data.crop
batch = {world: torch.rand(size) * 2 - 1 for world in "AB"}

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

before, times = peak(), []
for _ in range(2):
    start = time.process_time()
    learner.train_step(batch)
    times.append(time.process_time() - start)
print(json.dumps([before, peak(), times[-1]]))
"""


def step(words: list[str], checkpointing: bool) -> list[float]:
    """Return MiB before a step and at most, and the processor's seconds of the second step, of a fresh process."""
    command = [sys.executable, "-c", STEP, *words, f"train.checkpointing={str(checkpointing).lower()}"]
    found: list[float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def main() -> None:
    """Read the arguments, measure in turn, print medians."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("words", nargs="*", metavar="PRESET KEY=VALUE", help="what to train; default: cyclegan")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    words = args.words if args.words and "=" not in args.words[0] else ["cyclegan", *args.words]
    rounds = [(step(words, False), step(words, True)) for _ in range(args.rounds)]
    for name, column in (("without", 0), ("with", 1)):
        before, most, seconds = (statistics.median(r[column][i] for r in rounds) for i in range(3))
        print(f"{name:8} {before:6.0f} MiB before, {most:6.0f} MiB at most, {seconds:6.2f} s of the processor a step")
    ratios = [longer[2] / shorter[2] for shorter, longer in rounds]
    print(f"time with / without {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
