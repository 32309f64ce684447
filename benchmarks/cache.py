"""How much faster are batches from a cache? The same stream from files and from their cache, in turns.

python benchmarks/cache.py [--root FOLDER] [--load 286 --crop 256 --batch 1 --workers 0 --rounds 15]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from viceversa.config import Config, DataConfig, TrainConfig
from viceversa.data import normalise, open_loader
from viceversa.data.cache import make_cache


def photos(folder: Path, count: int, side: int) -> Path:
    """Make JPEG files with the smooth and the fine content of photographs."""
    rng = np.random.default_rng(0)
    for domain in ("trainA", "trainB"):
        (folder / domain).mkdir(parents=True)
        for number in range(count):
            coarse = Image.fromarray(rng.integers(0, 256, (side // 8, side // 8, 3), np.uint8))
            pixels = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC)).astype(int)
            noisy = (pixels + rng.integers(-12, 12, pixels.shape)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / domain / f"{number}.jpg", quality=92)
    return folder


def main() -> None:
    """Measure, and print milliseconds a picture and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", help="a data set (drawn photographs otherwise)")
    for name, value in {"side": 256, "load": 286, "crop": 256, "batch": 1, "workers": 0, "rounds": 15}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        root = Path(wanted.root) if wanted.root else photos(Path(name, "photos"), 60, wanted.side)
        data = DataConfig(root=str(root), load=wanted.load, crop=wanted.crop, workers=wanted.workers)
        start = time.perf_counter()
        note, _ = make_cache(data, Path(name, "cache"))
        print(f"{note}; cached in {time.perf_counter() - start:.1f} s")
        cached = DataConfig(root=str(Path(name, "cache")), load=data.load, crop=data.crop, workers=data.workers)
        train = TrainConfig(batch=wanted.batch)
        streams = [open_loader(Config(data=own, train=train)).batches(0) for own in (data, cached)]
        pictures = max(1, 40 // wanted.batch) * wanted.batch * 2
        times: list[list[float]] = [[], []]
        for number in range(wanted.rounds + 1):  # the first warms up
            drawn = []
            for stream, own in zip(streams, times, strict=True):
                start = time.perf_counter()
                drawn.append(
                    [
                        normalise(batch[domain])
                        for batch in islice(stream, pictures // wanted.batch // 2)
                        for domain in "AB"
                    ]
                )
                if number:
                    own.append((time.perf_counter() - start) / pictures * 1e3)
            assert all(map(torch.equal, *drawn)), "the cache changes the training"
        ratios = [files / cache for files, cache in zip(*times, strict=True)]
        for what, own in zip(("files", "cache"), times, strict=True):
            print(f"{what}: {statistics.median(own):.2f} ms a picture ({min(own):.2f} to {max(own):.2f})")
        print(f"ratio: {statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})")


if __name__ == "__main__":
    main()
