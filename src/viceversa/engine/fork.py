"""A new run that goes on from an old one's newest checkpoint, with other values."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from viceversa import methods
from viceversa.config import Config, ConfigError, load_config
from viceversa.engine import distributed
from viceversa.engine.checkpoint import copy_newest
from viceversa.engine.distributed import DistInfo
from viceversa.files import replacing


@contextmanager
def forked(config: Config, new: Path, dist: DistInfo) -> Iterator[Config]:
    """Give the configuration of the run in folder `new`, which begins where the run of `config` stands now.

    What `new` already holds is left alone: the same call again continues it. If the new run does not come to begin,
    what was copied for it is taken away again. Raises ConfigError if there is nothing to go on from. Networks cannot
    change; with another optimiser its memory starts anew, and the pictures may be others.
    """
    old = Path(config.run)
    if old.resolve() == new.resolve():
        raise ConfigError(f"--fork {new}: is the run itself; name a new folder")
    begins = dist.is_main and not (new / "config.yaml").exists()
    copied = _copy(config, old, new) if begins else []
    try:
        distributed.barrier(dist)
        yield dataclasses.replace(config, run=str(new))
    finally:
        if not (new / "config.yaml").exists():
            for path in copied:
                path.unlink(missing_ok=True)
            with suppress(OSError):  # it may hold what is not ours
                (new / "checkpoints").rmdir()


def _copy(config: Config, old: Path, new: Path) -> list[Path]:
    """Copy what the new run begins with, and return the files."""
    if not (old / "config.yaml").exists():
        raise ConfigError(f"{old}: no run that could be forked; the first word names one, or run=FOLDER does")
    before = methods.resolve(load_config(old))
    if not methods.same_networks(before, config):
        raise ConfigError(f"{old}: is of other networks, and a fork keeps them; train anew: run=FOLDER")
    forget = {"images": None, "pictures": None}
    if before.train.optimizer != config.train.optimizer:
        forget["optimizers"] = None
    copied = copy_newest(old / "checkpoints", new / "checkpoints", forget)
    _copy_log(old / "log.jsonl", new / "log.jsonl")
    return [*copied, new / "log.jsonl"]


def _copy_log(old: Path, new: Path) -> None:
    """Copy the curves; what went wrong in the old run stays its own story."""
    lines = old.read_text("utf-8").splitlines() if old.exists() else []
    with replacing(new) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines if _is_curve(line)), "utf-8")


def _is_curve(line: str) -> bool:
    try:
        return "event" not in json.loads(line)
    except ValueError:  # cut off by a crash
        return False
