"""How fast are batches made? Our stream against the classic pipeline, in turns, on the same files.

The classic one is what most code for these methods does: Pillow, torchvision's v1 transforms (bicubic resize, random
crop, flip, ToTensor, Normalize) and a DataLoader that sends float32. Both are timed up to float32 tensors in [-1, 1] in
the training process.

    python benchmarks/loader.py [--root FOLDER] [--load 286 --crop 256 --batch 1 --workers 0 --rounds 15]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from viceversa.config import Config, DataConfig, TrainConfig
from viceversa.data import find_splits, normalise, open_loader


class Classic(Dataset[dict[str, torch.Tensor]]):
    """Unpaired files, as the original code reads them."""

    def __init__(self, a: list[str], b: list[str], load: int, crop: int) -> None:
        self.files = {"A": a, "B": b}
        self.transform = transforms.Compose(
            [
                transforms.Resize([load, load], transforms.InterpolationMode.BICUBIC),
                transforms.RandomCrop(crop),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
            ]
        )

    def __len__(self) -> int:
        return 10**9

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        pictures = {}
        for domain, files in self.files.items():
            with Image.open(files[index % len(files)]) as image:
                pictures[domain] = self.transform(image.convert("RGB"))
        return pictures


def photos(folder: Path, count: int, side: int = 256) -> Path:
    """Make JPEG files with the smooth and the fine content of photographs."""
    rng = np.random.default_rng(0)
    for domain in ("trainA", "trainB"):
        (folder / domain).mkdir(parents=True)
        for index in range(count):
            small = Image.fromarray(rng.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8))
            smooth = np.asarray(small.resize((side, side), Image.Resampling.BICUBIC), np.float32)
            pixels = (smooth + rng.normal(0, 8, smooth.shape)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / domain / f"{index}.jpg", quality=90)
    return folder


def seconds(batches: Iterator[dict[str, torch.Tensor]], count: int) -> float:
    """Return the time of a batch."""
    start = time.perf_counter()
    for batch in islice(batches, count):
        assert all(images.dtype == torch.float32 for images in batch.values())
    return (time.perf_counter() - start) / count


def compare(root: Path, load: int, crop: int, batch: int, workers: int, rounds: int, each: int) -> None:
    """Print the median time of a batch of both, and the median of the ratios of neighbouring rounds."""
    data = DataConfig(root=str(root), load=load, crop=crop, workers=workers, test_fraction=0)
    split = find_splits(data).train
    classic = Classic([str(item) for item in split.a], [str(item) for item in split.b], load, crop)
    theirs = iter(DataLoader(classic, batch_size=batch, num_workers=workers))
    stream = open_loader(Config(data=data, train=TrainConfig(batch=batch)))
    ours = ({domain: normalise(images) for domain, images in found.items()} for found in stream.batches(0))
    times: dict[str, list[float]] = {"classic": [], "ours": []}
    for _ in range(rounds + 1):
        times["classic"].append(seconds(theirs, each))
        times["ours"].append(seconds(ours, each))
    ratios = [one / other for one, other in zip(times["classic"][1:], times["ours"][1:], strict=True)]
    for name, found in times.items():
        print(f"{name:8} {1000 * statistics.median(found[1:]):7.2f} ms a batch of {batch} + {batch}, {workers} workers")
    print(f"classic / ours {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--root", type=Path, help="a folder of unpaired pictures; default: made ones, 256 x 256 JPEG")
    defaults = (("load", 286), ("crop", 256), ("batch", 1), ("workers", 0), ("rounds", 15), ("each", 20))
    for name, value in defaults:
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = args.root or photos(Path(folder) / "photos", 64)
        compare(root, args.load, args.crop, args.batch, args.workers, args.rounds, args.each)


if __name__ == "__main__":
    main()
