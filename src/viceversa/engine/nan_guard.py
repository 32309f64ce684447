"""What is not a finite number never reaches the weights, and a run that cannot go on goes back to a checkpoint.

Every update is judged on the device, by its loss and the norm of its gradients, after they were averaged over the
processes, so that all agree. One that is not finite is skipped, on a GPU by the optimiser's own kernel (`found_inf` of
fused Adam), so that the processor waits for the device once a step only.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from typing_extensions import TypedDict  # pydantic asks for it before Python 3.12

from viceversa.config import TrainConfig
from viceversa.data import TrainLoader
from viceversa.engine import distributed
from viceversa.engine.distributed import DistInfo
from viceversa.methods.base import ImagePool


class Fault(TypedDict):
    """A skipped step: its number, the groups not updated, what was not finite, and the images by domain."""

    step: int
    updates: list[str]
    wrong: list[str]
    pictures: dict[str, list[str]]


class Rollback(TypedDict):
    """A return from step `after` to the checkpoint of step `to`, because of the skipped steps."""

    to: int
    after: int
    skipped: list[Fault]


class GuardState(TypedDict):
    """Part of the checkpoint: the steps skipped just now, and all rollbacks."""

    row: list[Fault]
    rollbacks: list[Rollback]


class UpdateGuard:
    """Judges every update of a step, and undoes what the forward passes of skipped ones left in the buffers."""

    stop = False
    """Whether a process, any of them, was asked to stop in the last step."""
    skipped: list[str]
    """Groups that were not updated in it, on all processes."""
    wrong: list[str]
    """Losses of this process that were not finite."""

    def __init__(self, method: nn.Module) -> None:
        pools = {id(m.images) for m in method.modules() if isinstance(m, ImagePool)}  # they keep finite images only
        self._buffers = [b for b in method.buffers() if id(b) not in pools]

    def begin(self) -> None:
        """Before a step: remember what its forward passes will change, such as batch norm's statistics."""
        self._before = [buffer.clone() for buffer in self._buffers]
        self._faults: dict[str, Tensor] = {}
        self._stop = torch.tensor(False)

    def judge(self, group: str, loss: Tensor, gradients: list[Tensor], scale: Tensor, asked: Tensor) -> Tensor:
        """Return, on the device, whether loss and gradients are finite: if not, the update must not be carried out.

        Gradients that overflow only because they are scaled up (fp16, `scale` above 1) are the scaler's to handle.
        `asked` is above 0 if any process was asked to stop.
        """
        finite_loss, finite = loss.isfinite(), get_total_norm(gradients).isfinite()
        fault = ~(finite_loss & (finite | (scale > 1)))
        self._faults[group] = fault | self._faults.get(group, fault)
        self._stop = asked > 0
        return finite_loss & finite

    def carry_out(self, optimizer: torch.optim.Optimizer, finite: Tensor) -> None:
        """Take the optimiser's step if loss and gradients are finite."""
        if finite.is_cuda and optimizer.defaults.get("fused"):
            optimizer.found_inf = (~finite).float()  # type: ignore[attr-defined]
            optimizer.step()
            del optimizer.found_inf  # type: ignore[attr-defined]
        elif finite:
            optimizer.step()

    def end(self, losses: dict[str, Tensor]) -> None:
        """After a step: read what was found; restore buffers if an update was skipped."""
        spoilt = [~loss.isfinite().all() for loss in losses.values()]
        self.stop, *flags = torch.stack([self._stop, *self._faults.values(), *spoilt]).tolist()
        self.skipped = [group for group, flag in zip(self._faults, flags, strict=False) if flag]
        self.wrong = [name for name, flag in zip(losses, flags[len(self._faults) :], strict=True) if flag]
        for before, buffer in zip(self._before, self._buffers, strict=True) if self.skipped else ():
            buffer.copy_(before)


class NanGuard:
    """Follows what was skipped, and decides when a run has to go back.

    After `train.max_skips` skipped steps in a row the run returns to a checkpoint and goes on with another seed of the
    data, from the second time on also with half the learning rate; `train.max_rollbacks` times in all.
    """

    def __init__(
        self, update_guard: UpdateGuard, train: TrainConfig, dist: DistInfo, tell: Callable[[Fault], None]
    ) -> None:
        self.update_guard, self.train, self.dist, self.tell = update_guard, train, dist, tell
        self.row: list[Fault] = []
        self.rollbacks: list[Rollback] = []

    def after_step(self, step: int, loader: TrainLoader) -> bool:
        """Note what was skipped in step number `step`, and return whether the run may go on; else it has to go back."""
        if not self.update_guard.skipped:
            self.row = []
            return True
        names = loader.names(step - 1, self.dist.rank, self.dist.world_size)
        told = distributed.all_gather((self.update_guard.wrong, names), self.dist)
        guilty = [one for one in told if one[0]] or told  # processes whose losses were not finite, or all
        fault: Fault = {
            "step": step,
            "updates": self.update_guard.skipped,
            "wrong": list(dict.fromkeys(name for wrong, _ in guilty for name in wrong)),
            "pictures": {domain: [name for _, names in guilty for name in names[domain]] for domain in names},
        }
        self.row.append(fault)
        self.tell(fault)
        return len(self.row) < self.train.max_skips

    def before_saving(self, finite: bool, step: int) -> bool:
        """Return whether what all processes would save is finite; else the run has to go back."""
        if all(distributed.all_gather(finite, self.dist)):
            return True
        self.row.append({"step": step, "updates": [], "wrong": ["a weight"], "pictures": {}})
        return False

    def choose(self, steps: list[int]) -> list[int]:
        """Return which of the checkpoints, newest first, to go back to: one further, if the newest led here before."""
        stuck = self.rollbacks and [self.rollbacks[-1]["to"]] == steps[:1]
        return (steps[1:] if stuck else []) or steps

    def gone_back(self, to: int, row: list[Fault], earlier: list[Rollback]) -> None:
        """Note that the run went back because of the faults of `row`, after `earlier` times."""
        self.row, self.rollbacks = [], [*earlier, {"to": to, "after": row[-1]["step"], "skipped": row}]

    def state_dict(self) -> GuardState:
        """Return what the next decision depends on, as plain values."""
        return {"row": self.row, "rollbacks": self.rollbacks}

    def load_state_dict(self, state: GuardState) -> None:
        """Go on from saved values; raise pydantic's ValidationError if they are none."""
        state = TypeAdapter(GuardState).validate_python(state, strict=True)
        self.row, self.rollbacks = list(state["row"]), list(state["rollbacks"])

    def advice(self, run: Any) -> str:
        """Say why the run gives up, and what may help."""
        times = len(self.rollbacks)
        tried = f"; going back to a checkpoint {times} times did not help" if times else ""
        last = self.row[-1]
        return (
            f"step {last['step']}: {blame(last)}, {len(self.row)} steps in a row{tried}. {run} keeps its last good "
            "checkpoint. Look for flat or broken pictures; or go on with other values in a new run: "
            f"viceversa train {shlex.quote(str(run))} train.lr=5e-5 train.precision=fp32 --fork NEW_RUN"
        )


def blame(fault: Fault) -> str:
    """Say in words what was not finite, and with which images."""
    what = ", ".join(fault["wrong"]) or f"the gradient of {', '.join(fault['updates'])}"
    pictures = " and ".join(", ".join(names) for names in fault["pictures"].values())
    return f"{what} is not a finite number" + (f" (pictures: {pictures})" if pictures else "")
