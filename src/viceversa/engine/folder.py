"""A run's folder: one process trains in it; the configuration it keeps, and what may differ when it is continued."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from viceversa.config import Config, ConfigError, flat, load_config, may_change, to_tree, to_yaml
from viceversa.engine.distributed import DistInfo
from viceversa.files import lock_run, replacing
from viceversa.methods import describe, resolve, same_networks


def refuse_changes(run: Path, config: Config) -> None:
    """Only what cannot change a step's result, or only the length, may differ from the run's configuration.

    A key that is younger than the run had its default's effect then. Raises ConfigError that names the other keys.
    """
    path = run / "config.yaml"
    if not path.exists():
        return
    earlier = resolve(load_config(path))
    before, now = flat(to_tree(earlier)), flat(to_tree(config))
    changed = sorted(key for key in now if now[key] != before.get(key) and not may_change(key))
    if changed:
        differing = ", ".join(f"{key} {before.get(key)} -> {now[key]}" for key in changed)
        fork = f", or go on from there in a new one: viceversa train {run} {words(changed, now)} --fork NEW_RUN"
        raise ConfigError(
            f"{run}: was trained with other values ({differing}); choose another folder with run=FOLDER, "
            f"or continue as it was: viceversa train {run}{fork if same_networks(earlier, config) else ''}"
        )


def words(keys: list[str], values: dict[str, Any]) -> str:
    """Spell keys and their values as they are typed."""
    return " ".join(shlex.quote(f"{key}={'' if values[key] is None else values[key]}") for key in keys)


def refuse_other_pictures(run: Path, before: dict[str, Any] | None, now: dict[str, Any]) -> None:
    """Raise ConfigError if a run's pictures are no longer those it was trained with (None: nobody knows)."""
    if before in (None, now):
        return
    then, today = (f"{found['A']} A, {found['B']} B" for found in (before, now))
    counts = f"{then} then, {today} now" if then != today else f"{today}, under other names"
    raise ConfigError(
        f"{run}: its training pictures have changed ({counts}); put back what was there, or go on all the same, "
        f"though not exactly, with data.may_change=true, or in a new run: viceversa train {run} --fork NEW_RUN"
    )


@contextmanager
def locked(run: Path, dist: DistInfo) -> Iterator[None]:
    """Keep others from training in the same folder while the block runs; raise ConfigError if it is taken."""
    if not dist.is_main:
        yield
        return
    run.mkdir(parents=True, exist_ok=True)
    with lock_run(run):
        try:
            yield
        finally:
            if [path.name for path in run.iterdir()] == [".lock"]:  # nothing came of it
                (run / ".lock").unlink()
                run.rmdir()


def keep_config(run: Path, config: Config) -> None:
    """Write the complete configuration into the run."""
    with replacing(run / "config.yaml") as temporary:
        temporary.write_text(to_yaml(config, describe(config)), "utf-8")
