"""Checkpoints: everything a run needs to go on, written so that there is always a good one.

`checkpoints/step-00005000.pt` holds the whole state; `step-00005000.rank1.pt`, ... what differs on the other ranks
(their image pools and their share of the log). The first is written last: where it is, all are.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import torch

from viceversa.engine import distributed
from viceversa.engine.distributed import World
from viceversa.files import replacing

State = dict[str, Any]
log = logging.getLogger("viceversa")


def save(folder: Path, step: int, shared: State, own: State, *, keep: int, world: World) -> None:
    """Write the state after `step` steps, then delete all but the newest `keep` checkpoints.

    `shared` is the same on every rank and written once; `own` is written by each.
    """
    path = folder / f"step-{step:08d}.pt"
    if not world.leads:
        _write(_of_rank(path, world.rank), own)
    distributed.wait(world)
    if world.leads:
        _write(path, {"shared": shared, "own": own})
        for old in found(folder)[keep:]:
            old.unlink()
            for part in folder.glob(f"{old.stem}.rank*.pt"):
                part.unlink()


def restore(folder: Path, world: World) -> tuple[State, State] | None:
    """Return the newest shared and own state that can be read, or None when there is no checkpoint at all.

    Raises ValueError when there are checkpoints and none can be read, or when they are of another number of processes.
    """
    candidates = found(folder)
    for path in candidates:
        processes = 1 + len(list(folder.glob(f"{path.stem}.rank*.pt")))
        if processes != world.size:
            raise ValueError(f"{path}: is of {processes} processes, not {world.size}; continue with as many")
        try:
            state = _read(path)
            return state["shared"], state["own"] if world.leads else _read(_of_rank(path, world.rank))
        except Exception as error:  # torch reports damage in many ways: RuntimeError, EOFError, UnpicklingError, ...
            reason = str(error).partition("\n")[0] or type(error).__name__
            log.warning("%s cannot be read (%s); trying the one before", path, reason)
    if candidates:
        raise ValueError(f"{folder}: no checkpoint can be read; move the folder away to start anew")
    return None


def found(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, newest first."""
    return sorted((p for p in folder.glob("step-*.pt") if re.fullmatch(r"step-\d+\.pt", p.name)), reverse=True)


def _of_rank(path: Path, rank: int) -> Path:
    return path.with_suffix(f".rank{rank}.pt")


def _write(path: Path, state: State) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save(state, file)  # through a file of ours, so that a full disk can be told from other errors


def _read(path: Path) -> State:
    state: State = torch.load(path, map_location="cpu", weights_only=True)
    return state
