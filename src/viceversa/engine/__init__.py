"""The training engine: how to optimise, once, for every method."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from viceversa.config import Config, ConfigError, default_run, load_config

if TYPE_CHECKING:
    from viceversa.engine.trainer import WriteReport


def train(
    config: Config,
    fork: Path | None = None,
    write_report: WriteReport | None = None,
    fixed: Collection[str] = (),
) -> Path:
    """Train as configured and return the run's folder; the same call again continues where the run stopped.

    With `fork`, a new run's folder, training goes on there from the newest checkpoint of the configured run, whose own
    folder stays as it is; so values may change that a run must keep. `write_report` is called with the run's folder
    whenever there is something new to see, unless `train.report` is off. `fixed` are the keys whose values
    `train.budget` must not choose.

    Raises ConfigError, ValueError or OSError with the remedy, and `engine.interrupt.Interrupted` when a signal asked to
    stop (everything is saved then).
    """
    import torch  # here and below, so that a run's folder can be read without waiting for torch

    from viceversa import methods
    from viceversa.data import open_loader
    from viceversa.devices import choose_precision, pick_device
    from viceversa.engine.distributed import DistInfo, process_group
    from viceversa.engine.learner import Learner
    from viceversa.engine.run_dir import RunDir, refuse_fork
    from viceversa.engine.trainer import Trainer

    dist = DistInfo.from_env()
    device = pick_device(config.train.device, dist.local_rank)
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    config = methods.resolve(default_run(config, config.method["name"]))
    notes = []
    if config.train.budget:
        if fork or dist.world_size > 1:
            raise ConfigError("train.budget plans new runs of one process; give train.length instead")
        from viceversa.engine import budget

        config, note = budget.plan(config, RunDir(config.run), fixed, device)
        notes.append(note)
    methods.check(config)
    loader = open_loader(config)
    methods.check_pairs(config, loader.splits.train.paired)
    run = RunDir(fork or config.run)
    origin = RunDir(config.run) if fork else None
    with process_group(dist, device), run.locked() if dist.is_main else nullcontext():
        if origin:
            refuse_fork(origin, run, config)
        config = replace(config, run=str(run))
        kept = load_config(run.config).train if run.config.exists() else None
        config, choice = choose_precision(config, device, kept)
        notes.append(choice)
        learner = Learner(config, loader.steps_per_epoch(dist.world_size), dist, device)
        Trainer(loader, learner, notes, write_report, origin).fit()
    return run.path
