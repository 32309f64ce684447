"""What a training saves: checkpoints, for itself, and its translators, for `viceversa translate`.

A checkpoint holds all that the next step depends on. A new piece of state is a line in `gather` and one in `restore`.
`checkpoints/step-00005000.pt` holds the whole state; `step-00005000.rank1.pt`, ... what differs on the other ranks
(their image pools and their share of the log). The first is written last: where it is, all are.
"""

from __future__ import annotations

import errno
import logging
import operator
import shlex
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from viceversa.config import ConfigError, Direction, explain
from viceversa.data import TrainLoader
from viceversa.engine import distributed
from viceversa.engine.distributed import DistInfo
from viceversa.engine.learner import Learner
from viceversa.engine.nan_guard import NanGuard
from viceversa.engine.optimizers import remembers_what_it_must
from viceversa.engine.run_dir import RunDir, checkpoint_files, checkpoint_step
from viceversa.engine.run_log import Meter
from viceversa.files import replacing
from viceversa.methods.base import ImagePool, Method
from viceversa.nets.weights import save_generator

State = dict[str, Any]
log = logging.getLogger("viceversa")


class TrainState:
    """Gathers the state of a training, `shared` by all processes and each one's `own`, and puts it back."""

    def __init__(self, run: RunDir, learner: Learner, guard: NanGuard, loader: TrainLoader) -> None:
        self.run, self.learner, self.guard, self.loader = run, learner, guard, loader
        self.meter = Meter()
        self.images = learner.train.batch * learner.dist.world_size  # of each domain, in a step

    def gather(self) -> tuple[State, State]:
        """Return what is the same in all processes, and what each has for itself."""
        learner, pools = self.learner, _pools(self.learner.method)
        shared = {
            "step": learner.step,
            "images": self.images,
            "pictures": self.loader.fingerprint(),
            "method": {key: value for key, value in learner.method.state_dict().items() if key not in pools},
            "ema": learner.ema.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in learner.optimizers.items()},
            "scaler": learner.scaler.state_dict(),
            "nan_guard": self.guard.state_dict(),
        }
        return shared, {"pools": pools, "meter": self.meter.totals}

    def restore(self, shared: State, own: State, *, fork: bool = False) -> None:
        """Return to a saved state. Raises ConfigError if it is another training's, or no state at all.

        A fork may see other images; it forgets what the guard did, and moments that another optimiser has no use for.
        """
        learner = self.learner
        try:
            if not fork:
                self._refuse_other_images(shared)
                self.guard.load_state_dict(shared["nan_guard"])
            learner.method.load_state_dict({**shared["method"], **own["pools"]})
            learner.ema.load_state_dict(shared["ema"])
            for name, optimizer in learner.optimizers.items():
                saved = shared["optimizers"][name]
                if fork and saved["param_groups"][0].keys() != optimizer.param_groups[0].keys():
                    continue
                optimizer.load_state_dict(saved)
                for group in optimizer.param_groups:
                    group.update(optimizer.defaults)  # moments are the checkpoint's, the rule the configuration's
                if not remembers_what_it_must(optimizer):
                    raise ValueError(f"optimizers.{name} lacks moments")
            if not all(isinstance(value, int | float) for value in shared["scaler"].values()):
                raise ValueError("scaler: no numbers")
            if shared["scaler"]:  # empty where another precision was used
                learner.scaler.load_state_dict(shared["scaler"])
            if shared["step"] < 0:
                raise ValueError("step: less than none")
            learner.step, learner.retries = operator.index(shared["step"]), len(self.guard.rollbacks)
            self.meter.load(own["meter"])
        except ConfigError:
            raise
        except ValidationError as error:
            raise ConfigError(f"{self.run}: its checkpoint is damaged ({explain(error.errors()[0])})") from None
        except (RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
            reason = str(error).strip().splitlines()[-1].strip() if str(error).strip() else type(error).__name__
            raise ConfigError(
                f"{self.run}: its checkpoint is of other networks ({reason}); a new run can start from its "
                "translators: init.AtoB=RUN init.BtoA=RUN"
            ) from None

    def _refuse_other_images(self, shared: State) -> None:
        """Raise ConfigError if a step would see other images than before."""
        config, dist, name = self.learner.config, self.learner.dist, shlex.quote(str(self.run))
        before, now = shared["pictures"], self.loader.fingerprint()
        if before != now and not config.data.may_change:
            then, today = (f"{found['A']} A, {found['B']} B" for found in (before, now))
            counts = f"{then} then, {today} now" if then != today else f"{today}, under other names"
            raise ConfigError(
                f"{self.run}: its training pictures have changed ({counts}); put back what was there, or go on all the "
                f"same, though not exactly, with data.may_change=true, or in a new run: viceversa train {name} "
                "--fork NEW_RUN"
            )
        if shared["images"] != self.images:
            raise ConfigError(
                f"{self.run}: took {shared['images']} pictures of each domain a step, and would take {self.images} "
                f"with train.batch={config.train.batch} in {dist.world_size} processes; the product must not change"
            )


def _pools(method: Method) -> dict[str, Tensor]:
    """Return the memories of past translations, which differ from process to process."""
    names = [name for name, module in method.named_modules() if isinstance(module, ImagePool)]
    return {key: value for key, value in method.state_dict().items() if key.rpartition(".")[0] in names}


class Checkpoints:
    """The checkpoints of a run. Kept are the newest one and the newest `keep` of those due after every `every` steps.

    So the planned ones are always those of a run that was never interrupted.
    """

    def __init__(self, folder: Path, dist: DistInfo, *, keep: int, every: int) -> None:
        self.folder, self.dist, self.keep, self.every = folder, dist, keep, every
        self.spoilt: set[int] = set()  # cannot be read, so they must not pass for the newest when others are deleted

    def save(self, step: int, shared: State, own: State) -> None:
        """Write the state after `step` steps, `own` by every process, then delete what need not be kept."""
        path, state = self.folder / _name(step), {"shared": shared, "own": own, "world_size": self.dist.world_size}
        if not self.dist.is_main:
            _write(self.folder / _name(step, self.dist.rank), own)
        distributed.barrier(self.dist)
        if not self.dist.is_main:
            return
        try:
            _write(path, state)
        except OSError as error:
            if error.errno != errno.ENOSPC or len(checkpoint_files(self.folder)) < 2:
                raise
            log.warning("%s: the disk is full; older checkpoints make room", path)
            self._prune(step, keep=0)
            _write(path, state)
        self.spoilt.discard(step)
        self._prune(step, self.keep)

    def steps(self) -> list[int]:
        """Return the steps of the checkpoints, the newest first, as the first process finds them."""
        return distributed.all_gather([checkpoint_step(path) for path in checkpoint_files(self.folder)], self.dist)[0]

    def planned(self) -> list[int]:
        """Return those of the steps that a run saves without being asked; all, if there is none."""
        steps = self.steps()
        return [step for step in steps if step % self.every == 0] or steps

    def read(self, steps: Sequence[int]) -> tuple[State, State]:
        """Return shared and own state of the first of these steps that all can read; ValueError if there is none."""
        for step in steps:
            state = self._read(step)
            if all(distributed.all_gather(state is not None, self.dist)) and state:
                return state
            self.spoilt.add(step)
        raise ValueError(f"{self.folder}: no checkpoint can be read; move the folder away to start anew")

    def drop_after(self, step: int) -> None:
        """Delete the checkpoints of steps that were undone."""
        if self.dist.is_main:
            self._delete(lambda other: other > step)

    def _read(self, step: int) -> tuple[State, State] | None:
        """Return shared and own state, or None, with a warning, if they cannot be read here."""
        path = self.folder / _name(step)
        try:
            state = _load(path)
            part = self.dist.rank % state["world_size"]  # a process that is new shares another's
            return state["shared"], _load(self.folder / _name(step, part)) if part else state["own"]
        except Exception as error:  # torch reports damage in many ways: RuntimeError, EOFError, UnpicklingError, ...
            reason = str(error).partition("\n")[0] or type(error).__name__
            log.warning("%s cannot be read (%s); trying the one before", path, reason)
            return None

    def _prune(self, newest: int, keep: int) -> None:
        """Delete all but the newest and `keep` planned ones, and parts of what was never finished."""
        good = [step for step in map(checkpoint_step, checkpoint_files(self.folder)) if step not in self.spoilt]
        kept = {newest, *good[:1], *[step for step in good if step % self.every == 0][:keep]}
        self._delete(lambda step: step not in kept)

    def _delete(self, which: Callable[[int], bool]) -> None:
        wholes, parts = checkpoint_files(self.folder), checkpoint_files(self.folder, r"\.rank\d+")
        for path in wholes + parts:  # what makes a checkpoint whole goes first
            if which(checkpoint_step(path)):
                path.unlink()


def _name(step: int, rank: int = 0) -> str:
    return f"step-{step:08d}{f'.rank{rank}' if rank else ''}.pt"


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


def save_weights(run: RunDir, learner: Learner) -> None:
    """Write each translator, averaged and raw (`weights/AtoB.safetensors`, `weights/AtoB.raw.safetensors`)."""
    for direction, net in learner.ema.translators().items():
        save_generator(run.weights / f"{direction}.safetensors", net, learner.card(direction))
    for direction, net in learner.method.translators().items():
        save_generator(run.weights / f"{direction}.raw.safetensors", net, learner.card(direction, raw=True))


def save_best(run: RunDir, learner: Learner, direction: Direction, scores: dict[str, float]) -> None:
    """Write an averaged translator, with what it scored, to `weights/best-AtoB.safetensors` (or `best-BtoA`)."""
    card = learner.card(direction)
    card.trained["scores"] = scores
    save_generator(run.weights / f"best-{direction}.safetensors", learner.ema.translators()[direction], card)
