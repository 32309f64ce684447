"""The training engine: how to optimise, once, for every method."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import torch

from viceversa import methods
from viceversa.config import Config, default_run, load_config
from viceversa.data import TrainLoader, open_loader
from viceversa.devices import choose_precision, pick_device
from viceversa.engine import distributed
from viceversa.engine.distributed import DistInfo
from viceversa.engine.folder import locked
from viceversa.engine.fork import forked
from viceversa.engine.learner import Learner
from viceversa.engine.show import WriteReport
from viceversa.engine.trainer import Trainer


def train(config: Config, fork: Path | None = None, write_report: WriteReport | None = None) -> Path:
    """Train as configured and return the run's folder; the same call again continues where the run stopped.

    With `fork`, a new run's folder, training goes on there from the newest checkpoint of the configured run, whose own
    folder stays as it is; so values may change that a run must keep. `write_report` is called with the run's folder
    whenever there is something new to see, unless `train.report` is off.

    Raises ConfigError, ValueError or OSError with the remedy, and `engine.interrupt.Interrupted` when a signal asked to
    stop (everything is saved then).
    """
    dist = DistInfo.from_env()
    device = pick_device(config.train.device, dist.local_rank)
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    config = methods.resolve(default_run(config, config.method["name"]))
    methods.check(config)
    stream = open_loader(config)
    methods.check_pairs(config, stream.splits.train.paired)
    begun = forked(config, fork, dist) if fork else nullcontext(config)
    with distributed.process_group(dist, device), locked(fork or Path(config.run), dist), begun as config:
        return _train(config, stream, dist, device, write_report)


def _train(
    config: Config, stream: TrainLoader, dist: DistInfo, device: torch.device, write_report: WriteReport | None
) -> Path:
    kept = Path(config.run) / "config.yaml"
    config, choice = choose_precision(config, device, load_config(kept).train if kept.exists() else None)
    learner = Learner(config, stream.steps_per_epoch(dist.world_size), dist, device)
    Trainer(config, stream, learner, dist, choice, write_report).fit()
    return Path(config.run)
