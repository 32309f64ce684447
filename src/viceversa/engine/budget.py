"""A training that fits into a given time: a few measured steps turn `train.budget` into size, width, batch, length.

The choice is made once, when a run begins, and written into its configuration as plain values; so continuing, forking
and describing it find an ordinary run, and the learning rate reaches zero when the time is up.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import Any

import torch

from viceversa import methods
from viceversa.config import Config, ConfigError, flat, load_config, merge, to_tree, validate
from viceversa.data import DatasetSplits, ImageError, Split, TrainLoader, find_splits
from viceversa.data.datasets import open_each
from viceversa.devices import choose_precision
from viceversa.engine.learner import Learner
from viceversa.engine.run_dir import RunDir

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
RUNGS = ((64, 32), (96, 32), (128, 32), (128, 64), (256, 64))
"""Sizes (pixels) and widths, from the fastest to the best pictures."""
ENOUGH = 60
"""Steps for each pixel of the side at width 32, twice as many at width 64, that a training must have room for. In our
trials of `style` at 64 px, faces had holes for eyes until step 3,000 or so; larger pictures need more steps."""
PLENTY = 8
"""From so many times enough steps on, a step takes twice as many images, up to four."""
WARM, MEASURED = 2, 5  # steps
PAUSE = 1.5
"""Seconds that samples, checkpoint and report take beside their few translations."""
CHOSEN = ("data.load", "data.crop", "generator.width", "train.batch")
LENGTHS = ("train.length", "train.decay", "train.sample_every", "train.save_every")


def plan(config: Config, run: RunDir, fixed: Collection[str], device: torch.device) -> tuple[Config, str]:
    """Return the configuration with plain values in place of `train.budget`, and a line that says which and why.

    The keys that are `fixed` stay as they are. A run that has begun keeps what was chosen then. Raises ConfigError if
    nothing that can be trained fits.
    """
    bare = replace(config, train=replace(config.train, budget=None))
    if run.config.exists():
        kept = flat(to_tree(methods.resolve(load_config(run.config))))
        values = {key: kept[key] for key in (*CHOSEN, *LENGTHS) if key in kept and key not in fixed}
        return changed(bare, values), f"train.budget: {run} keeps what was chosen when it began"
    splits = find_splits(config.data)
    found = candidates(bare, fixed, short_side(splits.train))
    amount, unit = str(config.train.budget).removesuffix("s").split()
    seconds = int(amount) * SECONDS[unit]
    return choose(found, seconds, fixed, lambda candidate: step_seconds(candidate, splits, device))


def choose(
    candidates: Sequence[Config],
    seconds: float,
    fixed: Collection[str],
    measure: Callable[[Config], float],
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Config, str]:
    """Climb the rungs as long as the time is enough for a size; then take as many steps as fit into what is left."""
    start, best, more = clock(), None, ""
    pauses = min(20, max(2, round(seconds / 60)))  # samples and checkpoints: one a minute, few of them in all
    for candidate in candidates:
        cost = measure(candidate)
        steps = int((seconds - (clock() - start) - PAUSE * pauses) / cost)
        needed = enough(candidate)
        if steps >= needed or not best:
            best, ratio = (candidate, cost), steps / needed
        if steps < needed:
            more = f" ({described(candidate)} should have {needed:,} steps, and would have {steps:,})"
            break
    if best is None:
        raise ConfigError("train.budget: no size suits these networks; set data.crop, or train.length instead")
    candidate, cost = best
    while "train.batch" not in fixed and candidate.train.batch < 4 and ratio >= PLENTY:
        candidate = changed(candidate, {"train.batch": 2 * candidate.train.batch})
        cost, ratio = measure(candidate), ratio / 2
    steps = max(1, int((seconds - (clock() - start) - PAUSE * pauses) / cost))
    length, decay = candidate.train.length, candidate.train.decay
    share = decay.amount / length.amount if decay.unit == length.unit else 0.5
    every = f"{max(1, steps // pauses)} steps"
    values = {"train.length": f"{steps} steps", "train.decay": f"{round(share * steps)} steps"}
    values |= {"train.sample_every": every, "train.save_every": every}
    config = changed(candidate, {key: value for key, value in values.items() if key not in fixed})
    return config, f"train.budget: {described(config)}, {steps:,} steps of {cost:.2g} s{more}"


def enough(config: Config) -> int:
    """Return how many steps a training of such pictures and networks must have room for."""
    return ENOUGH * config.data.crop * max(1, int(config.generator.get("width", 32)) // 32)


def candidates(config: Config, fixed: Collection[str], largest: int) -> list[Config]:
    """Return what may be chosen, from the fastest on: what can be built, and no size above `largest` but the first."""
    found: dict[tuple[object, ...], Config] = {}
    for size, width in RUNGS:
        size = config.data.crop if "data.crop" in fixed else size
        values: dict[str, Any] = {"data.crop": size, "data.load": round(size * config.data.load / config.data.crop)}
        widest = config.generator.get("width")  # a recipe is not known to work beyond its own width
        values |= {"generator.width": min(width, widest)} if widest else {}
        try:
            candidate = changed(config, {key: value for key, value in values.items() if key not in fixed})
            methods.check(candidate)
        except ConfigError:  # a U-Net of fixed depth, say
            continue
        if not found or size <= max(largest, config.data.crop * ("data.crop" in fixed)):
            found.setdefault((size, candidate.generator.get("width")), candidate)
    return list(found.values())


def short_side(train: Split) -> int:
    """Return the shortest side of the first training images, of those that can be read."""
    images = [image for samples in (train.a, train.b) for image in open_each(samples[:3])]
    return min((min(i.pixels.shape[:2]) for i in images if not isinstance(i, ImageError)), default=0)


def step_seconds(config: Config, splits: DatasetSplits, device: torch.device) -> float:
    """Return how long a step takes here, with reading its images: the mean of a few, on a device as busy as now."""
    config, _ = choose_precision(config, device)
    loader = TrainLoader(splits, replace(config, data=replace(config.data, workers=0)))
    learner = Learner(config, loader.steps_per_epoch(), device=device)
    reading, computing = list[float](), list[float]()
    with closing(loader.batches(0)) as batches:
        begun = time.perf_counter()
        for batch in islice(batches, WARM + MEASURED):
            read = time.perf_counter()
            losses = learner.train_step(batch)
            torch.stack([loss.detach().float() for loss in losses.values()]).tolist()  # waits for the device
            done = time.perf_counter()
            reading, computing, begun = [*reading, read - begun], [*computing, done - read], done
    read, computed = statistics.mean(reading[WARM:]), statistics.mean(computing[WARM:])
    return max(read, computed) if config.data.workers and (os.cpu_count() or 1) > 1 else read + computed


def changed(config: Config, values: dict[str, Any]) -> Config:
    """Return a configuration with other values, by dotted key."""
    tree = to_tree(config)
    for key, value in values.items():
        section, _, name = key.partition(".")
        tree = merge(tree, {section: {name: value}})
    return methods.resolve(validate(tree))


def described(config: Config) -> str:
    """Say the size of a configuration: `64 px, width 32, batch 1`."""
    width = f", width {config.generator['width']}" if "width" in config.generator else ""
    return f"{config.data.crop} px{width}, batch {config.train.batch}"
