"""Files of checkpoints, written so that there is always a good one; what they hold is in `checkpoint`.

`checkpoints/step-00005000.pt` holds the whole state; `step-00005000.rank1.pt`, ... what differs on the other ranks
(their image pools and their share of the log). The first is written last: where it is, all are.
"""

from __future__ import annotations

import errno
import logging
import shutil
import zipfile
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from viceversa.config import ConfigError
from viceversa.engine import distributed
from viceversa.engine.distributed import DistInfo
from viceversa.engine.run_dir import checkpoint_files, checkpoint_step
from viceversa.files import replacing

State = dict[str, Any]
Choose = Callable[[list[int]], list[int]]
log = logging.getLogger("viceversa")


class Checkpoints:
    """The checkpoints of a run. Kept are the newest one and the newest `keep` of those due after every `every` steps.

    What a signal asked to save is thus dropped once it is not the newest, so that the planned ones are always those of
    a run that was never interrupted.
    """

    def __init__(self, folder: Path, dist: DistInfo, *, keep: int, every: int) -> None:
        self.folder, self.dist, self.keep, self.every = folder, dist, keep, every
        self.warned = False
        self.spoilt: set[int] = set()
        """Steps of checkpoints that cannot be read. They must not pass for the newest when others are deleted."""

    def save(self, step: int, shared: State, own: State) -> None:
        """Write the state after `step` steps, then delete what need not be kept.

        `shared` is the same on every rank and written once; `own` is written by each.
        """
        path = self.folder / _name(step)
        if not self.dist.is_main:
            _write(_of_rank(path, self.dist.rank), own)
        distributed.barrier(self.dist)
        if self.dist.is_main:
            self._write(path, {"shared": shared, "own": own, "world_size": self.dist.world_size})
            self._warn_of_little_room(path.stat().st_size)
            self.spoilt.discard(step)
            self._prune(self.keep)

    def restore(self, choose: Choose = lambda steps: steps) -> tuple[State, State] | None:
        """Return the newest shared and own state that all processes can read; None when there is no checkpoint at all.

        `choose` may leave out some of the steps, or order them anew. Raises ValueError when none can be read.
        """
        if self.dist.is_main:
            self._sweep()
        steps = distributed.all_gather([checkpoint_step(path) for path in checkpoint_files(self.folder)], self.dist)[0]
        for step in choose(steps):
            state = self._read(self.folder / _name(step))
            if all(distributed.all_gather(state is not None, self.dist)):
                return state
            self.spoilt.add(step)
        if steps:
            raise ValueError(f"{self.folder}: no checkpoint can be read; move the folder away to start anew")
        return None

    def planned(self, steps: list[int]) -> list[int]:
        """Return those of the steps, newest first, that a run saves without being asked; all, if there is none."""
        return [step for step in steps if step % self.every == 0] or steps

    def drop_after(self, step: int) -> None:
        """Delete the checkpoints of steps that were undone."""
        for path in checkpoint_files(self.folder) if self.dist.is_main else []:
            if checkpoint_step(path) > step:
                _delete(path)

    def _read(self, path: Path) -> tuple[State, State] | None:
        """Return shared and own state, or None, with a warning, if they cannot be read here."""
        try:
            state = _load(path)
            before, rank = state["world_size"], self.dist.rank
            if before == self.dist.world_size:
                return state["shared"], _load(_of_rank(path, rank)) if rank else state["own"]
            everyone = [state["own"], *(_load(_of_rank(path, other)) for other in range(1, before))]
            return state["shared"], deal(everyone, self.dist)
        except Exception as error:  # torch reports damage in many ways: RuntimeError, EOFError, UnpicklingError, ...
            reason = str(error).partition("\n")[0] or type(error).__name__
            log.warning("%s cannot be read (%s); trying the one before", path, reason)
            return None

    def _write(self, path: Path, state: State) -> None:
        """Write a file; on a full disk, first make room at the cost of older checkpoints."""
        try:
            _write(path, state)
        except OSError as error:
            if error.errno != errno.ENOSPC or len(checkpoint_files(self.folder)) < 2:
                raise
            log.warning("%s: the disk is full; older checkpoints make room", path)
            self._prune(0)
            _write(path, state)

    def _warn_of_little_room(self, size: int) -> None:
        if not self.warned and shutil.disk_usage(self.folder).free < 2 * size:
            self.warned = True
            log.warning("%s: the disk has no room for two more checkpoints; train.keep=1 keeps less", self.folder)

    def _prune(self, keep: int) -> None:
        good = [path for path in checkpoint_files(self.folder) if checkpoint_step(path) not in self.spoilt]
        planned = [path for path in good if checkpoint_step(path) % self.every == 0]
        for path in checkpoint_files(self.folder):
            if path not in (good[:1] + planned[:keep]):
                _delete(path)

    def _sweep(self) -> None:
        """Delete parts of checkpoints that were never finished, or not deleted to the end."""
        whole = {path.stem for path in checkpoint_files(self.folder)}
        for part in self.folder.glob("step-*.rank*.pt"):
            if part.name.partition(".")[0] not in whole:
                part.unlink()


def copy_newest(old: Path, new: Path, changes: State) -> list[Path]:
    """Copy the newest checkpoint that can be read, with some of its shared state changed; return the files.

    Raises ConfigError when there is none.
    """
    for path in checkpoint_files(old):
        try:
            state = _load(path)
            parts = {rank: _load(_of_rank(path, rank)) for rank in range(1, state["world_size"])}
        except Exception as error:  # as above
            log.warning("%s cannot be read (%s); trying the one before", path, error)
            continue
        for rank, part in parts.items():
            _write(_of_rank(new / path.name, rank), part)
        _write(new / path.name, {**state, "shared": {**state["shared"], **changes}})
        return [new / path.name, *(_of_rank(new / path.name, rank) for rank in parts)]
    raise ConfigError(f"{old}: no checkpoint to go on from")


def deal(everyone: list[State], dist: DistInfo) -> State:
    """Return this process's part of what another number of processes had each for itself.

    Their pools' images are dealt out in turn; rank 0 takes over all their sums of losses.
    """
    pools = {
        key: _stacked(list(_in_turn([own["pools"][key] for own in everyone]))[dist.rank :: dist.world_size])
        for key in everyone[0]["pools"]
    }
    meters = [own["meter"] for own in everyone]
    meter = {name: sum(meter[name] for meter in meters) * int(dist.is_main) for name in meters[0]}
    return {"pools": pools, "meter": meter}


def _in_turn(pools: list[Tensor]) -> Iterator[Tensor]:
    return (image for images in zip_longest(*pools) for image in images if image is not None)


def _stacked(images: list[Tensor]) -> Tensor:
    return torch.stack(images) if images else torch.empty(0)


def _name(step: int) -> str:
    return f"step-{step:08d}.pt"


def _of_rank(path: Path, rank: int) -> Path:
    return path.with_suffix(f".rank{rank}.pt")


def _delete(path: Path) -> None:
    """Delete a checkpoint, the file that makes it whole first."""
    path.unlink()
    for part in path.parent.glob(f"{path.stem}.rank*.pt"):
        part.unlink()


def _write(path: Path, state: State) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save(state, file)  # through a file of ours, so that a full disk can be told from other errors


def _load(path: Path) -> State:
    """Return what a file holds. torch does not look at its checksums, so a spoilt number would go unnoticed: we do."""
    with zipfile.ZipFile(path) as file:
        if spoilt := file.testzip():
            raise ValueError(f"{spoilt} does not have its checksum")
    state: State = torch.load(path, map_location="cpu", weights_only=True)
    return state
