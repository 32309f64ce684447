"""Measuring a trained model on its test images, or one folder of images against another."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch

from viceversa.backends import load_network
from viceversa.config import Config, ConfigError, load_config
from viceversa.data import find_splits
from viceversa.data.eval_set import EvalSet
from viceversa.data.image_data import eight_bits, with_channels
from viceversa.data.image_io import read_image
from viceversa.devices import pick_device
from viceversa.engine.validation import BATCH, Evaluation, describe, metric_lines
from viceversa.fast_cpu import accelerate
from viceversa.metrics import make_metrics, suited_metrics
from viceversa.metrics.base import Candidate, Metric, RGBImage, ScoreLine, Statistics, compute, join, measure
from viceversa.metrics.distribution import FEWEST
from viceversa.nets.weights import Card
from viceversa.paths import directions, list_images, weights_file

log = logging.getLogger("viceversa")


def evaluate_model(
    model: Path,
    overrides: Iterable[str] = (),
    metrics: Sequence[str] = (),
    *,
    ema: bool = True,
    best: bool = False,
    device: str = "auto",
) -> list[ScoreLine]:
    """Translate the test images of a run, or of a weights file, in all its directions, and score them.

    `overrides` name other data (`data.root=FOLDER`) or how to read it; `metrics` are names such as kid or
    fid[inception], without any those that suit the data. For `ema` and `best` see `weights_file`. A run's scores are
    appended to its metrics.jsonl. Raises ConfigError, ValueError or OSError with the remedy.
    """
    place = pick_device(device)
    files = [model] if model.is_file() else [weights_file(model, way, ema=ema, best=best) for way in directions(model)]
    loaded = {card.direction: (path, net, card) for path in files for net, card in [load_network(path)]}
    for _, net, _ in loaded.values():
        accelerate(net)
    config = _config(model, next(iter(loaded.values()))[2], list(overrides))
    test_images = EvalSet(find_splits(config.data), config)
    fewest = min(test_images.count("A"), test_images.count("B"))
    evaluation = Evaluation(
        test_images, _made(metrics, test_images.paired, len(loaded) == 2, fewest, place), device=place
    )
    found = evaluation.scores({way: net.to(place) for way, (_, net, _) in loaded.items()})
    result = []
    for direction, scores in found.items():
        path, _, card = loaded[direction]
        averaged = card.trained.get("ema") and not card.trained.get("raw")
        protocol = {"by": "evaluate", "checkpoint": str(path), "ema": card.trained.get("ema"), **describe(test_images)}
        step, weights = card.trained.get("step"), "ema" if averaged else "raw"
        result += metric_lines(direction, scores, step, weights, protocol)
    if model.is_dir():
        try:
            with (model / "metrics.jsonl").open("a", encoding="utf-8") as file:
                file.write("".join(json.dumps(line) + "\n" for line in result))
        except OSError as error:  # a run that may only be read
            log.warning("%s: the scores are not kept in its metrics.jsonl (%s)", model, error.strerror)
    return result


def evaluate_folders(
    images: Path, against: Path, metrics: Sequence[str] = (), *, device: str = "auto"
) -> list[ScoreLine]:
    """Score the images of one folder against those of another.

    Where all names of `images` are found in `against` (subfolders count, suffixes don't), each is also compared with
    its namesake. Raises ValueError or OSError with the remedy.
    """
    fakes, reals = _by_name(images), _by_name(against)
    alone = [name for name in fakes if name not in reals]
    made = _made(metrics, not alone, False, min(len(fakes), len(reals)), pick_device(device))
    compared = [metric.name for metric in made if metric.reference == "truth"]
    if alone and compared:
        needed = f"needs an image called {alone[0]} in {against}, to compare with"
        raise ValueError(f"{', '.join(compared)}: {needed}; or ask for --metrics kid")
    whole = [metric for metric in made if metric.reference == "real"]
    measured: dict[Candidate, Statistics] = {
        "translation": join(
            [measure(made, _read(fakes, names), _read(reals, names) if compared else None) for names in _batches(fakes)]
        ),
        "real": join([measure(whole, _read(reals, names)) for names in _batches(reals)]),
    }
    protocol = {"by": "evaluate", "images": str(images), "against": str(against)}
    return metric_lines(None, compute(made, measured), None, None, protocol)


def _made(names: Sequence[str], paired: bool, way_back: bool, fewest: int, device: torch.device) -> list[Metric]:
    wanted = names or suited_metrics(paired, way_back, fewest)
    if not wanted:
        raise ValueError("a single image of a kind is too few to measure anything; add images, or pairs of equal names")
    if fewest < FEWEST["kid"] and not names:
        log.warning("KID is left out: it takes %d images of each kind, and there are %d", FEWEST["kid"], fewest)
    return make_metrics(wanted, device=device)


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


def _by_name(folder: Path) -> dict[str, Path]:
    """Return the images of a folder by name, without suffix; FileNotFoundError if there are none."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder")
    found = {path.relative_to(folder).with_suffix("").as_posix(): path for path in list_images(folder)}
    if not found:
        raise FileNotFoundError(f"{folder}: no pictures in it")
    return found


def _batches(files: Mapping[str, Path]) -> Iterator[list[str]]:
    """Yield the names of files, some at a time."""
    names = list(files)
    for start in range(0, len(names), BATCH):
        yield names[start : start + BATCH]


def _read(files: Mapping[str, Path], names: Sequence[str]) -> list[RGBImage]:
    """Return some of the files as the RGB images that a metric sees."""
    return [eight_bits(with_channels(read_image(files[name]), 3)) for name in names]
