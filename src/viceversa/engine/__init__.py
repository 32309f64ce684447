"""The training engine: how to optimise, once, for every method."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from viceversa.config import Config, ConfigError, default_run, flat, load_config, may_change, to_tree

if TYPE_CHECKING:
    from viceversa.engine.run_dir import RunDir


def train(
    config: Config,
    fork: Path | None = None,
    write_report: Callable[[Path], object] | None = None,
    fixed: Collection[str] = (),
) -> Path:
    """Train as configured and return the run's folder; the same call again continues where the run stopped.

    With `fork`, a new run's folder, training goes on there from the newest checkpoint of the configured run, whose own
    folder stays as it is; so values may change that a run must keep. `write_report` is called with the run's folder
    whenever there is something new to see, unless `train.report` is off. `fixed` are the keys whose values
    `train.budget` must not choose. Raises ConfigError, ValueError or OSError with the remedy, and
    `engine.interrupt.Interrupted` when a signal asked to stop (everything is saved then).
    """
    import torch  # here and below, so that a run's folder can be read without waiting for torch

    from viceversa import methods
    from viceversa.data import open_loader
    from viceversa.devices import choose_precision, pick_device
    from viceversa.engine.distributed import DistInfo, process_group
    from viceversa.engine.learner import Learner
    from viceversa.engine.run_dir import RunDir
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
        refuse_changes(run, config)
        learner = Learner(config, loader.steps_per_epoch(dist.world_size), dist, device)
        Trainer(loader, learner, notes, write_report, origin).fit()
    return run.path


def refuse_changes(run: RunDir, config: Config) -> None:
    """Raise ConfigError if a value differs from the run's that must not: see `MayChange` in the schema."""
    from viceversa import methods

    if not run.config.exists():
        return
    earlier = methods.resolve(load_config(run.config))
    before, now = flat(to_tree(earlier)), flat(to_tree(config))
    changed = sorted(key for key in now if now[key] != before.get(key) and not may_change(key))
    if changed:
        differing = ", ".join(f"{key} {before.get(key)} -> {now[key]}" for key in changed)
        words = " ".join(shlex.quote(f"{key}={'' if now[key] is None else now[key]}") for key in changed)
        name = shlex.quote(str(run))
        fork = f", or go on from there in a new one: viceversa train {name} {words} --fork NEW_RUN"
        raise ConfigError(
            f"{run}: was trained with other values ({differing}); choose another folder with run=FOLDER, "
            f"or continue as it was: viceversa train {name}{fork if methods.same_networks(earlier, config) else ''}"
        )


def refuse_fork(run: RunDir, new: RunDir, config: Config) -> None:
    """Raise ConfigError if a run cannot be gone on with in the folder `new`, unless that has begun already."""
    from viceversa import methods

    if run.path.resolve() == new.path.resolve():
        raise ConfigError(f"--fork {new}: is the run itself; name a new folder")
    if new.config.exists():
        return
    if not run.config.exists():
        raise ConfigError(f"{run}: no run that could be forked; the first word names one, or run=FOLDER does")
    if not methods.same_networks(methods.resolve(load_config(run.config)), config):
        raise ConfigError(f"{run}: is of other networks, and a fork keeps them; train anew: run=FOLDER")
