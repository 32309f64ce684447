"""What a training step costs on this machine, and where its time goes."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from viceversa import methods
from viceversa.bench.peaks import measure_peaks, synchronise
from viceversa.bench.pictures import generated
from viceversa.bench.reference import REFERENCES
from viceversa.bench.watch import Watched
from viceversa.config import Config, ConfigError
from viceversa.data import open_loader
from viceversa.devices import pick_device
from viceversa.engine.distributed import DistInfo
from viceversa.engine.settle import settled
from viceversa.methods.base import Batch
from viceversa.nets.convolutions import choose_winograd
from viceversa.nets.layers import init_weights

Facts = dict[str, Any]


def measure(config: Config, *, steps: int = 5, against: str | None = None) -> Facts:
    """Take `steps` steps as configured and return what they cost, in seconds, GFLOP and MiB; data may be generated.

    `against` "eager-fp32" also takes plain steps in turn with ours. Raises ConfigError for what cannot be measured.
    """
    device = pick_device(config.train.device)
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    config = methods.resolve(config)
    methods.check(config)
    config, _ = settled(config, device, DistInfo())
    started = start_up()
    with tempfile.TemporaryDirectory() as folder:
        if not (config.data.root or config.data.a):
            config = dataclasses.replace(config, data=generated(config.data, Path(folder)))
        data, batches = read(config, steps + 1)
    learner = Watched(config, device)
    other = plain_step(config, against, device) if against else None
    step, ratios = run(learner, batches, other)
    phases = {name: taken / steps for name, taken in learner.phases.items()}
    total = phases.pop("step")
    with FlopCounterMode(display=False) as counter:
        choose_winograd(learner.method, False)  # the work of the convolutions as everybody counts it
        learner.train_step(batches[0])
    work = counter.get_total_flops() / 1e9
    peaks = measure_peaks(device)
    kind = "bf16" if config.train.precision in ("bf16", "fp16") else "fp32"
    return {
        "torch": torch.__version__,
        "device": str(device),
        "threads": torch.get_num_threads(),
        "precision": config.train.precision,
        "crop": config.data.crop,
        "batch": config.train.batch,
        "images_per_second": config.train.batch / (median(step) + data),
        "seconds": {"step": median(step), "fastest": min(step), "slowest": max(step)},
        "phases": {"data": data, **phases, "overhead": total - sum(phases.values())},
        "gflop": work,
        "gflop_per_second": work / median(step),
        "peaks": peaks,
        "fraction_of_peak": work / median(step) / peaks[kind]["conv"],
        "memory_mib": memory(device),
        "start_up": started,
        "against": against_facts(ratios, against) if against else None,
    }


def read(config: Config, count: int) -> tuple[float, list[Batch]]:
    """Return the seconds that a batch takes to read, in this process, and batches."""
    here = dataclasses.replace(config, data=dataclasses.replace(config.data, workers=0))
    stream = open_loader(here)
    methods.check_pairs(config, stream.splits.train.paired)
    start = time.perf_counter()
    batches = list(islice(stream.batches(0), count))
    return (time.perf_counter() - start) / count, batches


def run(
    learner: Watched, batches: list[Batch], other: Callable[[Batch], object] | None
) -> tuple[list[float], list[float]]:
    """Take a step on each batch, in turn with the other's; return our seconds, and the other's as multiples of them.

    The first of each is for warmth.
    """
    taken, ratios = [], []
    for number, batch in enumerate(batches):
        if number == 1:
            learner.phases.clear()
        mine = timed(lambda batch=batch: learner.train_step(batch), learner.device)  # type: ignore[misc]
        theirs = timed(lambda batch=batch: other(batch), learner.device) if other else 0.0  # type: ignore[misc]
        if number:
            taken.append(mine)
            ratios.append(theirs / mine)
    return taken, ratios


def timed(do: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that `do()` takes."""
    synchronise(device)
    start = time.perf_counter()
    do()
    synchronise(device)
    return time.perf_counter() - start


def plain_step(config: Config, against: str, device: torch.device) -> Callable[[Batch], dict[str, Tensor]]:
    """Return the step to measure against; ConfigError if there is none for this configuration."""
    name, net = config.method["name"], config.generator["name"]
    if against != "eager-fp32":
        raise ConfigError(f"--against {against}: not known; there is eager-fp32")
    if (name, net) not in {("cyclegan", "resnet"), ("pix2pix", "unet"), ("cut", "resnet")} or device.type != "cpu":
        raise ConfigError(
            f"--against {against}: is written for cyclegan and cut with generator=resnet and pix2pix with "
            "generator=unet, on the CPU; leave it away for others"
        )
    reference = REFERENCES[name](config)
    for network in reference.networks().values():
        init_weights(network, config.init.scheme, config.init.gain)
    return lambda batch: reference.step(*(batch[world].float() / 127.5 - 1 for world in "AB"))


def memory(device: torch.device) -> float:
    """Return the most memory that was in use, in MiB: of the process, or of the GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def start_up() -> dict[str, float]:
    """Return the seconds that fresh processes need: to import torch, and for the help text."""
    commands = {"import torch": ["-c", "import torch"], "viceversa --help": ["-m", "viceversa", "--help"]}
    return {
        name: timed(
            lambda words=words: subprocess.run([sys.executable, *words], check=True, capture_output=True),  # type: ignore[misc]
            torch.device("cpu"),
        )
        for name, words in commands.items()
    }


def against_facts(ratios: list[float], against: str) -> Facts:
    """Return how many times as long the other step took: median and spread."""
    return {"step": against, "times": median(ratios), "from": min(ratios), "to": max(ratios)}
