"""The training engine, for every method: `train`, and how a training is asked to stop.

SIGTERM is what `kill`, Kubernetes and spot instances send, SIGUSR1 what SLURM sends ahead of the time limit
(`--signal=USR1@120`), SIGHUP what a closed terminal sends. They may arrive several times, from several places; only a
person's second Ctrl-C means "now". A signal that was ignored when the program started, as nohup arranges, stays so.
"""

from __future__ import annotations

import shlex
import signal
import threading
from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from viceversa.config import Config, ConfigError, default_run, flat, load_config, may_change, to_tree

if TYPE_CHECKING:
    from viceversa.engine.run_dir import RunDir

NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")
SIGNALS = [getattr(signal, name) for name in NAMES if name in signal.Signals.__members__]


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
    `Interrupted` when a signal asked to stop (everything is saved then).
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


class Interrupted(Exception):
    """Training was asked to stop and has saved; `signum` is the signal that asked."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class Interrupt:
    """Whether this process was asked to stop while the block runs, and by which signal.

    `noted` is called at the first request; a second Ctrl-C raises KeyboardInterrupt. Of several processes (not `alone`)
    none is left at once: torchrun passes every Ctrl-C on, so that one arrives twice. Signals come to the main thread
    only; elsewhere nothing is noted.
    """

    def __init__(self, noted: Callable[[], object], alone: bool = True) -> None:
        self.signum, self.noted, self.alone = 0, noted, alone

    def __enter__(self) -> Interrupt:
        main = threading.current_thread() is threading.main_thread()
        heard = [signum for signum in SIGNALS if main and signal.getsignal(signum) is not signal.SIG_IGN]
        self.before = {signum: signal.signal(signum, self._hear) for signum in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self.before.items():
            signal.signal(signum, handler)

    def _hear(self, signum: int, frame: FrameType | None) -> None:
        if not self.signum:
            self.signum = signum
            self.noted()
        elif signum == signal.SIGINT and self.alone:
            raise KeyboardInterrupt
