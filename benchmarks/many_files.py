"""A hundred thousand files: how long, and how much memory, until a check is done and a training begins?

Each measurement is a process of its own, so its peak memory counts; a bare `import torch` stands beside them. On Linux
and macOS.

    python benchmarks/many_files.py [--count 100000] [--rounds 3] [--root FOLDER]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

BEGIN = """
from viceversa.config import load_config
from viceversa.data import open_loader
config = load_config("cyclegan", ["data.root={root}", "data.load=36", "data.crop=32", "data.workers=1"])
batches = open_loader(config).batches(0)
print(next(batches)["A"].shape)
batches.close()
"""
PEAK = "\nimport resource; print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
CHECK = """
import sys
from viceversa.cli import main
sys.argv = ["viceversa", "data", "check", {root!r}, "--json"]
try:
    main()
except SystemExit:
    pass
"""


def draw(root: Path, count: int) -> None:
    """Write `count` pictures of 32 x 32 pixels, half of them in each domain, in folders of a thousand."""
    rng = np.random.default_rng(0)
    for number in range(count):
        domain, index = "AB"[number % 2], number // 2
        folder = root / f"train{domain}" / f"{index // 1000:03d}"
        if index % 1000 == 0:
            folder.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8))
        coarse.resize((32, 32), Image.Resampling.BICUBIC).save(folder / f"{index:06d}.jpg")


def measure(code: str) -> tuple[float, float, float]:
    """Run Python code; return the seconds it took, those of processor time, and its peak memory in MB (10^6 bytes)."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    said = subprocess.run([sys.executable, "-c", code + PEAK], capture_output=True, text=True, check=True).stdout
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, processor, int(said.split("peak ")[-1]) * (1 if sys.platform == "darwin" else 1024) / 1e6


def main() -> None:
    """Measure in turns, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--root", type=Path, help="A folder to keep the pictures in, for the next time.")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = words.root or Path(temporary)
        if not (root / "trainA").is_dir():
            draw(root, words.count)
        jobs = {
            "import torch": "import torch",
            "check": CHECK.format(root=str(root)),
            "a training's first batch": BEGIN.format(root=root),
        }
        taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in jobs}
        for _ in range(words.rounds):
            for name, code in jobs.items():
                taken[name].append(measure(code))
        for name, results in taken.items():
            seconds, processor, memory = (statistics.median(values) for values in zip(*results, strict=True))
            print(f"{name:26} {seconds:7.1f} s   {processor:7.1f} s of processor time   {memory:6.0f} MB")


if __name__ == "__main__":
    main()
