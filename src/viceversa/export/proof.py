"""One exported file and its proof: what it computes of real images, beside what PyTorch does.

It is written in a folder of its own, so that it appears when its proof has held, or not at all.
"""

from __future__ import annotations

import copy
import math
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from viceversa.backends import draws_random_numbers, load_network
from viceversa.backends.exported import Precision, write_exported
from viceversa.backends.onnx import to_levels
from viceversa.config import ConfigError, load_config
from viceversa.data import find_splits
from viceversa.data.eval_set import EvalSet
from viceversa.data.image_data import normalise, resize, to_tensor, with_channels
from viceversa.data.image_io import read_image
from viceversa.export import Exported, ExportOptions
from viceversa.fast_cpu import accelerate
from viceversa.nets import Generator
from viceversa.nets.weights import Card, save_generator
from viceversa.paths import list_images
from viceversa.report.samples import spread

LARGEST_ERROR = 1e-4
"""Of a float32 file, in outputs from -1 to 1; what is rounded to uint8 may fall on the neighbouring level."""
LEAST_PSNR = {"fp32": 60.0, "fp16": 45.0, "int8": 30.0}
PROVED, CALIBRATED = 8, 16
"""Images that the file is compared on, and that 8-bit ranges are seen on."""
ROUNDS, SECONDS = 6, 1.0
"""How often, and how long, the file and PyTorch are timed, at least."""


@dataclass(frozen=True)
class Proof:
    """How a file's results differ from PyTorch's, in float32, on real images; outputs are in [-1, 1]."""

    images: int
    largest: float
    mean: float
    psnr: float
    seconds: float
    """For an image."""
    speed: float
    """How many times as fast as PyTorch."""
    size: int
    """Bytes on disk."""

    def __str__(self) -> str:
        return (
            f"proof on {self.images} images: largest error {self.largest:.1e}, mean {self.mean:.1e}, {self.psnr:.1f} dB"
            f" to PyTorch; {1000 * self.seconds:.0f} ms an image, {self.speed:.2f} times as fast as PyTorch"
        )


def export_file(net: Generator, card: Card, out: Path, model: Path, options: ExportOptions) -> Exported:
    """Write one generator to `out`, and return it with its proof; raise ValueError, with the remedy, if that fails."""
    if draws_random_numbers(net):
        raise ValueError(f"{model}: draws random numbers (inference=original), which no file can repeat")
    precision, pixels = options.precision, options.with_io
    proved, calibrated = images_of(model, card, options.images)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=out.parent) as folder:
        path = Path(folder) / out.name
        if path.suffix == ".safetensors":
            save_generator(path, copy.deepcopy(net).half() if precision == "fp16" else net, card)
        else:
            write_exported(path, net, card, precision, pixels=pixels, licence=options.licence, examples=calibrated)
        files = list(Path(folder).iterdir())
        proof = prove(net, load_network(path)[0], proved, pixels, sum(file.stat().st_size for file in files))
        if wrong := failure(proof, precision, pixels):
            remedy = "" if precision == "fp32" else "; try --precision fp32, or more --images"
            raise ValueError(f"{out}: not written, as its proof failed: {wrong}{remedy}")
        for file in files:
            os.replace(file, out.with_name(file.name))
    return Exported(out, card.direction, proof)


def images_of(model: Path, card: Card, folder: Path | None) -> tuple[list[Tensor], list[Tensor]]:
    """Return images as the network sees them, (1, in, H, W): to prove on, and others to calibrate on.

    They are test and training images of the run, or halves of what a folder holds.
    """
    if folder is not None:
        files = spread(list_images(folder), 2 * CALIBRATED)
        read = [with_channels(read_image(path), card.in_channels) for path in files]
        found = [to_tensor(resize(pixels, (card.size, card.size)))[None] for pixels in read]
        proved, calibrated = found[::2][:PROVED], (found[1::2] or found)[:CALIBRATED]
    else:
        try:
            config = load_config(model)
            splits = find_splits(config.data)
        except (ConfigError, FileNotFoundError) as error:
            raise ValueError(f"{error}; or name images with --images FOLDER") from None
        test = EvalSet(splits, config)
        proved = _read(test, card, PROVED)
        calibrated = _read(EvalSet(replace(splits, test=splits.train), config), card, CALIBRATED)
    if not proved:
        raise ValueError(f"{folder or model}: no images to prove the export on; name some with --images FOLDER")
    return proved, calibrated


def _read(images: EvalSet, card: Card, count: int) -> list[Tensor]:
    domain = card.direction[0]
    numbers = spread(range(images.count(domain)), count)
    return [found[0][None] for found in (images.read(domain, number) for number in numbers) if found]


@torch.inference_mode()
def prove(net: Generator, exported: Generator, images: Sequence[Tensor], pixels: bool, size: int) -> Proof:
    """Compare an exported file with the network that it was made of, which is accelerated afterwards, to be timed."""
    largest, total, squares = 0.0, 0.0, 0.0
    for x in images:
        exact = net(x)
        if pixels:
            exact = normalise(to_levels(exact))
        difference = (exported(x) - exact).double()
        largest = float(np.maximum(largest, difference.abs().max().item()))  # which keeps NaN
        total += difference.abs().mean().item() / len(images)
        squares += difference.square().mean().item() / 4 / len(images)  # the range is 2
    psnr = -10 * math.log10(squares) if squares else math.inf
    accelerate(net)
    seconds, speed = _times(lambda: exported(images[0]), lambda: net(images[0]))
    return Proof(len(images), largest, total, psnr, seconds, speed, size)


def failure(proof: Proof, precision: Precision, pixels: bool) -> str:
    """Return what is wrong with an export, or nothing."""
    limit = 2 / 255 + 1e-6 if pixels else LARGEST_ERROR
    if precision == "fp32" and not proof.largest <= limit:
        return f"it is off by {proof.largest:.1e}, and {limit:.1e} is the most that will do"
    if not proof.psnr >= LEAST_PSNR[precision]:
        return f"it has {proof.psnr:.1f} dB to PyTorch, and {LEAST_PSNR[precision]:g} dB is the least that will do"
    return ""


def _times(one: Callable[[], Tensor], other: Callable[[], Tensor]) -> tuple[float, float]:
    """Return the seconds that `one` takes, and how many times longer `other` does: the least, taken in turn."""
    taken: tuple[list[float], list[float]] = ([], [])
    while len(taken[0]) < ROUNDS or sum(map(sum, taken)) < SECONDS:
        for times, do in zip(taken, (one, other), strict=True):
            start = time.perf_counter()
            do()
            times.append(time.perf_counter() - start)
    ours, theirs = map(min, taken)  # the first one warms up, and others may use the machine as well
    return ours, theirs / ours
