"""Measuring a trained model on its test pictures, or one folder of pictures against another."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from viceversa.config import Config, ConfigError, Direction, load_config
from viceversa.data import find_splits
from viceversa.data.image_data import with_channels
from viceversa.data.image_io import read_image
from viceversa.data.test_images import TestImages
from viceversa.devices import pick_device
from viceversa.engine import distributed
from viceversa.engine.distributed import DistInfo
from viceversa.engine.validation import Evaluation, Line, lines
from viceversa.fast_cpu import accelerate
from viceversa.methods.base import Translators
from viceversa.metrics import Picture as Shown
from viceversa.metrics import Tools, make, suited
from viceversa.metrics.panel import Candidate, Panel
from viceversa.nets import Generator
from viceversa.nets.weights import Card, load_generator
from viceversa.paths import directions, list_images, weights_file

Half = Literal["left", "right"]


@dataclass(frozen=True)
class Asked:
    """What to measure, and with what."""

    metrics: Sequence[str] = ()
    """Names such as kid, fid[inception], psnr; none: those that suit the data."""
    extractor: str = ""
    """What FID and KID look through, unless their names say; empty: efficientnet-lite0."""
    weights: Path | None = None
    """A file with the extractor's weights."""
    seed: int = 0
    """Of KID's subsets."""
    device: str = "auto"


def evaluate_model(
    model: Path, overrides: Iterable[str] = (), asked: Asked = Asked(), *, raw: bool = False, best: bool = False
) -> list[Line]:
    """Translate the test pictures of a run, or of a weights file, in all its directions, and score them.

    `overrides` name other data (`data.root=FOLDER`) or how to read it. `raw` takes the last weights instead of their
    moving average, `best` those that scored best during training. A run's scores are appended to its metrics.jsonl.
    Under torchrun the processes share the work; the first returns the lines, the others none. Raises ConfigError,
    ValueError or OSError with the remedy.
    """
    dist = DistInfo.from_env()
    device = pick_device(asked.device, dist.local_rank)
    loaded = _translators(model, raw, best)
    config = _config(model, next(iter(loaded.values()))[2], list(overrides))
    pictures = TestImages(find_splits(config.data), config)
    translators: Translators = {direction: net.to(device) for direction, (_, net, _) in loaded.items()}
    fewest = min(pictures.count("A"), pictures.count("B"))
    names = asked.metrics or suited(pictures.paired, len(loaded) == 2, fewest)
    metrics = make(names, Tools(asked.extractor, asked.weights, asked.seed, device))
    if not pictures.paired and (wanted := [metric.name for metric in metrics if metric.reference == "truth"]):
        raise ValueError(
            f"{', '.join(wanted)}: the data is not paired; ask for kid, or say data.paired_test=true if test pictures "
            "of the same name belong together"
        )
    with distributed.process_group(dist, device):
        found = Evaluation(pictures, metrics, dist, device).scores(translators)
    result = []
    for direction, scores in found.items():
        path, _, card = loaded[direction]
        weights = "ema" if card.trained.get("ema") and not card.trained.get("raw") else "raw"
        result += lines(direction, scores, card.trained.get("step"), weights, _protocol(path, card, pictures))
    if model.is_dir() and dist.is_main:
        append(model / "metrics.jsonl", result)
    return result


def evaluate_folders(images: Path, against: Path, asked: Asked = Asked(), *, half: Half | None = None) -> list[Line]:
    """Score the pictures of one folder against those of another; `half` takes that half of each of the latter.

    Where all names of `images` are found in `against` (subfolders count, suffixes don't), each is also compared with
    its namesake. Under torchrun the processes share the work. Raises ValueError or OSError with the remedy.
    """
    dist = DistInfo.from_env()
    device = pick_device(asked.device, dist.local_rank)
    fakes, reals = (_named(folder) for folder in (images, against))
    alone = [name for name in fakes if name not in reals]
    names = asked.metrics or suited(not alone, False, min(len(fakes), len(reals)))
    metrics = make(names, Tools(asked.extractor, asked.weights, asked.seed, device))
    if alone and (wanted := [metric.name for metric in metrics if metric.reference == "truth"]):
        raise ValueError(f"{', '.join(wanted)}: needs a picture called {alone[0]} in {against}, to compare with")
    panel = Panel(metrics)
    mean = None if alone else _mean([reals[name] for name in fakes], half)
    with distributed.process_group(dist, device):
        for number, name in _share(fakes, dist):
            picture, truth = _read(fakes[name]), None if alone else _read(reals[name], half)
            candidates: dict[Candidate, Shown] = {"translation": picture}
            if truth is not None and picture.shape != truth.shape:
                (height, width, _), (other_height, other_width, _) = picture.shape, truth.shape
                sizes = f"{width} x {height}, and {reals[name]} {other_width} x {other_height}"
                raise ValueError(f"{fakes[name]}: is {sizes}; bring them to one size, or ask for kid alone")
            if mean is not None and mean.shape == picture.shape:
                candidates["mean"] = mean
            panel.show(number, candidates, truth)
        for number, name in _share(reals, dist):
            panel.show_real(number, _read(reals[name], half))
        shares = distributed.all_gather(panel.notes, dist)
    for notes in shares:
        panel.merge(notes)
    half_note = {"half": half} if half else {}
    protocol = {"by": "evaluate", "images": str(images), "against": str(against), **half_note}
    return lines(None, panel.scores(), None, None, protocol) if dist.is_main else []


def append(path: Path, found: Sequence[Line]) -> None:
    """Append lines to a metrics.jsonl."""
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(json.dumps(line) + "\n" for line in found))


def _translators(model: Path, raw: bool, best: bool) -> dict[Direction, tuple[Path, Generator, Card]]:
    if model.is_file():
        net, card = load_generator(model)
        found = {card.direction: (model, net, card)}
    else:
        files = {direction: weights_file(model, direction, ema=not raw, best=best) for direction in directions(model)}
        found = {direction: (path, *load_generator(path)) for direction, path in files.items()}
    for _, net, _ in found.values():
        accelerate(net)
    return found


def _config(model: Path, card: Card, overrides: Iterable[str]) -> Config:
    """Return what the data is: a run knows, a weights file has to be told; other keys than the data's are refused."""
    for word in overrides:
        if not word.startswith("data."):
            raise ConfigError(f"{word}: evaluating only asks for data, such as data.root=FOLDER data.paired_test=true")
    if model.is_dir():
        return load_config(model, overrides)
    channels = {card.direction[0]: card.in_channels, card.direction[-1]: card.out_channels}
    size = [f"data.load={card.size}", f"data.crop={card.size}"]
    return load_config(None, [*size, *(f"data.channels_{w.lower()}={n}" for w, n in channels.items()), *overrides])


def _protocol(path: Path, card: Card, pictures: TestImages) -> dict[str, Any]:
    return {
        "by": "evaluate",
        "checkpoint": str(path),
        "ema": card.trained.get("ema"),
        "split": "train" if pictures.of_training else "test",
        "size": pictures.data.crop,
        "resize": pictures.data.resize,
    }


def _named(folder: Path) -> dict[str, Path]:
    """Return the pictures of a folder by name, without suffix; FileNotFoundError if there are none."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder")
    found = {path.relative_to(folder).with_suffix("").as_posix(): path for path in list_images(folder)}
    if not found:
        raise FileNotFoundError(f"{folder}: no pictures in it")
    return found


def _share(names: Mapping[str, Path], dist: DistInfo) -> Iterable[tuple[int, str]]:
    return list(enumerate(names))[dist.rank :: dist.world_size]


def _read(path: Path, half: Half | None = None) -> Shown:
    """Return a file as the RGB picture that a metric sees."""
    pixels = with_channels(read_image(path), 3)
    if half:
        width = pixels.shape[1] // 2
        pixels = pixels[:, :width] if half == "left" else pixels[:, -width:]
    return pixels if pixels.dtype == np.uint8 else np.rint(pixels * 255).astype(np.uint8)


def _mean(paths: Sequence[Path], half: Half | None) -> Shown | None:
    """Return the mean of pictures, None if they differ in size."""
    total, size = None, None
    for picture in (_read(path, half) for path in paths):
        if size is not None and picture.shape != size:
            return None
        size, total = picture.shape, picture.astype(np.int64) + (0 if total is None else total)
    return None if total is None else np.rint(total / len(paths)).astype(np.uint8)
