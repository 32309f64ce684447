"""Continuing a run: what it keeps, what may differ; and a fork, a new run that goes on from an old one's checkpoint."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from viceversa.config import Config, ConfigError, flat, load_config, may_change, to_tree, to_yaml
from viceversa.engine import distributed
from viceversa.engine.checkpoint_files import copy_newest
from viceversa.engine.distributed import DistInfo
from viceversa.engine.run_dir import RunDir
from viceversa.files import replacing
from viceversa.methods import describe, resolve, same_networks


def refuse_changes(run: RunDir, config: Config) -> None:
    """Raise ConfigError if a value differs from the run's that must not: see `MayChange` in the schema."""
    if not run.config.exists():
        return
    earlier = resolve(load_config(run.config))
    before, now = flat(to_tree(earlier)), flat(to_tree(config))
    changed = sorted(key for key in now if now[key] != before.get(key) and not may_change(key))
    if changed:
        differing = ", ".join(f"{key} {before.get(key)} -> {now[key]}" for key in changed)
        words = " ".join(shlex.quote(f"{key}={'' if now[key] is None else now[key]}") for key in changed)
        name = shlex.quote(str(run))
        fork = f", or go on from there in a new one: viceversa train {name} {words} --fork NEW_RUN"
        raise ConfigError(
            f"{run}: was trained with other values ({differing}); choose another folder with run=FOLDER, "
            f"or continue as it was: viceversa train {name}{fork if same_networks(earlier, config) else ''}"
        )


def refuse_other_images(run: RunDir, before: dict[str, Any] | None, now: dict[str, Any]) -> None:
    """Raise ConfigError if a run's images are no longer those it was trained with (None: it may be any)."""
    if before in (None, now):
        return
    then, today = (f"{found['A']} A, {found['B']} B" for found in (before, now))
    counts = f"{then} then, {today} now" if then != today else f"{today}, under other names"
    name = shlex.quote(str(run))
    raise ConfigError(
        f"{run}: its training pictures have changed ({counts}); put back what was there, or go on all the same, though "
        f"not exactly, with data.may_change=true, or in a new run: viceversa train {name} --fork NEW_RUN"
    )


def keep_config(run: RunDir, config: Config) -> None:
    """Write the complete configuration into the run."""
    with replacing(run.config) as temporary:
        temporary.write_text(to_yaml(config, describe(config)), "utf-8")


@contextmanager
def forked(config: Config, new: Path, dist: DistInfo) -> Iterator[Config]:
    """Give the configuration of the run in folder `new`, which begins where the run of `config` stands now.

    What `new` already holds is left alone: the same call again continues it. If the new run does not come to begin,
    what was copied for it is taken away again. Raises ConfigError if there is nothing to go on from. Networks cannot
    change; with another optimiser its memory starts anew, and the images may be others.
    """
    if Path(config.run).resolve() == new.resolve():
        raise ConfigError(f"--fork {new}: is the run itself; name a new folder")
    target = RunDir(new)
    begins = dist.is_main and not target.config.exists()
    copied = _copy(config, RunDir(config.run), target) if begins else []
    try:
        distributed.barrier(dist)
        yield dataclasses.replace(config, run=str(new))
    finally:
        if not target.config.exists():
            for path in copied:
                path.unlink(missing_ok=True)
            with suppress(OSError):  # it may hold what is not ours
                target.checkpoints.rmdir()


def _copy(config: Config, old: RunDir, new: RunDir) -> list[Path]:
    """Copy what the new run begins with, and return the files."""
    if not old.config.exists():
        raise ConfigError(f"{old}: no run that could be forked; the first word names one, or run=FOLDER does")
    before = resolve(load_config(old.config))
    if not same_networks(before, config):
        raise ConfigError(f"{old}: is of other networks, and a fork keeps them; train anew: run=FOLDER")
    changes: dict[str, Any] = {"images": None, "pictures": None, "nan_guard": {"row": [], "rollbacks": []}}
    if before.train.optimizer != config.train.optimizer:
        changes["optimizers"] = None
    copied = copy_newest(old.checkpoints, new.checkpoints, changes)
    lines = old.log.read_text("utf-8").splitlines() if old.log.exists() else []
    with replacing(new.log) as temporary:  # the curves; what went wrong in the old run is not the new one's
        temporary.write_text("".join(f"{line}\n" for line in lines if '"event": ' not in line), "utf-8")
    return [*copied, new.log]
