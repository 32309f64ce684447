"""What a run has gone through: steps that were skipped, and how often it went back to a checkpoint."""

from __future__ import annotations

from typing import Any, TypeAlias

from viceversa.data import TrainLoader
from viceversa.engine import distributed
from viceversa.engine.distributed import DistInfo
from viceversa.engine.guard import Verdict

Fault: TypeAlias = dict[str, Any]
"""A skipped step in plain values: "step", "updates", "wrong" (what was not finite) and "pictures" by domain."""


class Mishaps:
    """Faults and rollbacks of a run, and what follows for it; part of the checkpoint.

    `row` holds the faults of the steps just skipped, one after the other; `rollbacks` what happened each time the run
    went back. The first time the seed of the data changes, from the second on the learning rate is halved, too.
    """

    def __init__(self) -> None:
        self.row: list[Fault] = []
        self.rollbacks: list[dict[str, Any]] = []

    @property
    def rate(self) -> float:
        """The factor of the learning rate."""
        return float(0.5 ** max(0, len(self.rollbacks) - 1))

    def note(self, fault: Fault | None) -> None:
        """Note a step's fault, or None for a step that went well."""
        self.row = [] if fault is None else [*self.row, fault]

    def way_back(self, steps: list[int]) -> list[int]:
        """Return which of the checkpoints, newest first, to go back to: one further, if the newest led here before."""
        stuck = self.rollbacks and [self.rollbacks[-1]["to"]] == steps[:1]
        return (steps[1:] if stuck else []) or steps

    def went_back(self, to: int, row: list[Fault], earlier: list[dict[str, Any]]) -> None:
        """Note that the run went back because of the faults of `row`, after `earlier` times."""
        self.row, self.rollbacks = [], [*earlier, {"to": to, "after": row[-1]["step"], "skipped": row}]

    def state_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"row": self.row, "rollbacks": self.rollbacks}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from saved values."""
        self.row, self.rollbacks = list(state["row"]), list(state["rollbacks"])


def fault(verdict: Verdict, stream: TrainLoader, dist: DistInfo) -> Fault | None:
    """Return what a step's verdict means, or None if it was sound; waits for all processes if it was not.

    The pictures are those of the processes whose own losses were not finite; of all, if only gradients were not.
    """
    if verdict.sound:
        return None
    names = stream.names(verdict.step - 1, dist.rank, dist.world_size)
    told = distributed.all_gather((verdict.losses, names), dist)
    guilty = [one for one in told if one[0]] or told
    losses = dict.fromkeys(name for wrong, _ in guilty for name in wrong)
    pictures = {letter: [name for _, names in guilty for name in names[letter]] for letter in names}
    return {"step": verdict.step, "updates": verdict.updates, "wrong": list(losses), "pictures": pictures}


def blame(fault: Fault) -> str:
    """Say in words what was not finite, and with which pictures."""
    what = ", ".join(fault["wrong"]) or f"the gradient of {', '.join(fault['updates'])}"
    pictures = " and ".join(", ".join(names) for names in fault["pictures"].values())
    return f"{what} is not a finite number" + (f" (pictures: {pictures})" if pictures else "")


def advice(mishaps: Mishaps, run: str) -> str:
    """Say why the run gives up, and what may help."""
    times = len(mishaps.rollbacks)
    tried = f"; going back to a checkpoint {times} times did not help" if times else ""
    last = mishaps.row[-1]
    return (
        f"step {last['step']}: {blame(last)}, {len(mishaps.row)} steps in a row{tried}. {run} keeps its last good "
        "checkpoint. Look for flat or broken pictures; or go on with other values in a new run: "
        f"viceversa train {run} train.lr=5e-5 train.precision=fp32 --fork NEW_RUN"
    )
