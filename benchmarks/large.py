"""How much memory does a large picture take, and is its result that of the whole picture?

CycleGAN's generator, nine blocks of width 64, with random weights: neither memory nor time depends on what they are.
A photo, or a drawn picture, is enlarged to each size and translated by the command itself, in a process of its own.

    python benchmarks/large.py OUT --sizes 2048 4096 8192       # peak memory and time, by --memory 2GB
    python benchmarks/large.py OUT --sizes 8192 --few 2         # the same peak, without most of the time
    python benchmarks/large.py OUT --whole 1024 --weights W     # bands against the whole picture, and crops to look at

Peak memory is the largest resident set of the process, Python and PyTorch included. With --few only the first bands of
each pass and its last one are computed; all others are alike, and take no more memory.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from viceversa import cli
from viceversa.backends.bands import Bands
from viceversa.data import water2wine
from viceversa.data.image_io import read_image
from viceversa.nets import GENERATORS
from viceversa.nets.layers import set_inference
from viceversa.nets.weights import Card, save_generator
from viceversa.registry import create
from viceversa.translator import Translator

BAND = 2**26
"""Bytes for a band where bands are compared with the whole: small ones, so that there are many edges."""


def random_weights(path: Path) -> Path:
    """Write CycleGAN's generator with random weights, once."""
    if not path.is_file():
        torch.manual_seed(0)
        spec = {"name": "resnet", "width": 64, "blocks": 9}
        net = create(GENERATORS, "generator", spec, 3, 3, size=256)
        set_inference(net, "image")
        save_generator(path, net, Card(spec, 3, 3, 256, "AtoB", "image", {}))
    return path


def picture(folder: Path, photo: Path | None, size: int) -> Path:
    """Return a square picture of this size: the photo, or a drawn one, enlarged."""
    path = folder / f"{photo.stem if photo else 'drawn'}{size}.png"
    if not path.is_file():
        if photo is None:
            water2wine.make(folder / "drawn", size=256, count=1, test=1)
            photo = next((folder / "drawn" / "testA").iterdir())
        with Image.open(photo) as image:
            side = min(image.size)
            image.convert("RGB").crop((0, 0, side, side)).resize((size, size), Image.Resampling.BICUBIC).save(path)
    return path


def compute_few(count: int) -> None:
    """Let only so many bands of each pass be computed, and the last one."""
    compute, done = Bands._compute, Counter[object]()

    def some(self: Bands, target: Any, plan: Any, maps: Any, keep: Any) -> torch.Tensor:
        done[target] += 1
        batch, channels, height, width = maps.shapes[target]
        if done[target] <= count or plan[target].stop == height:
            return compute(self, target, plan, maps, keep)
        return torch.zeros(batch, channels, len(plan[target]), width)

    Bands._compute = some  # type: ignore[method-assign]


def measure(weights: Path, source: Path, memory: str, few: int | None) -> None:
    """Translate one picture in a process of its own; print its peak memory and its time."""
    out = source.with_name(f"{source.stem}-out.png")
    program = ["-m", "viceversa"] if few is None else [__file__, "few", str(few)]
    command = [sys.executable, *program, "translate", str(weights), str(source), str(out), "--overwrite"]
    start = time.perf_counter()
    process = subprocess.Popen([*command, "--memory", memory])
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0
    seconds = time.perf_counter() - start
    shown = f"{source.stem}, {few} bands of each pass" if few else source.stem
    times = f"{used.ru_utime + used.ru_stime:.0f} s of CPU time, {seconds:.0f} s by the clock"
    print(f"{shown}: peak {used.ru_maxrss / 2**20:.2f} GiB, {times}", flush=True)


def compare(weights: Path, source: Path) -> None:
    """Compute a picture whole and in many bands; print how far apart they are, and write where."""
    translator = Translator.load(weights)
    image = read_image(source)
    x = translator.prepare(image).x
    with torch.inference_mode():
        whole, banded = translator.net(x), Bands(translator.net)(x, BAND)
    levels = [((y.clamp(-1, 1) + 1) * 127.5).round().int() for y in (whole, banded)]
    apart = (levels[0] - levels[1]).abs()
    print(
        f"{source.stem}: at most {apart.max().item()} of 255 apart, {100 * (apart > 0).float().mean().item():.2f} % of "
        f"the numbers differ; before rounding at most {(whole - banded).abs().max().item():.1e} of [-1, 1]"
    )
    shown = np.ascontiguousarray(levels[1][0].permute(1, 2, 0).numpy().astype(np.uint8))
    Image.fromarray(shown).save(source.with_name(f"{source.stem}-bands.png"))


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--sizes", type=int, nargs="*", default=[])
    parser.add_argument("--whole", type=int, nargs="*", default=[], metavar="SIZE")
    parser.add_argument("--photo", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--few", type=int, metavar="BANDS")
    parser.add_argument("--memory", default="2GB")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    weights = args.weights or random_weights(args.out / "resnet9.safetensors")
    for size in args.sizes:
        measure(weights, picture(args.out, args.photo, size), args.memory, args.few)
    for size in args.whole:
        compare(weights, picture(args.out, args.photo, size))


if __name__ == "__main__":
    if sys.argv[1:2] == ["few"]:
        compute_few(int(sys.argv[2]))
        sys.argv = ["viceversa", *sys.argv[3:]]
        cli.main()
    main()
