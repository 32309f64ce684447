"""What a checkpoint must hold, so that one that is damaged, or a stranger's, is told before anything is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from viceversa.config import explain

Step = Annotated[int, Field(ge=0)]


class _Form(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True, strict=True)


class _Fault(_Form):
    step: Step
    updates: list[str]
    wrong: list[str]
    pictures: dict[str, list[str]]


class _Rollback(_Form):
    to: Step
    after: Step
    skipped: list[_Fault]


class _Mishaps(_Form):
    row: list[_Fault]
    rollbacks: list[_Rollback]


class _Pictures(_Form):
    A: int
    B: int
    names: str


class _Memory(_Form):
    """Of an optimiser."""

    state: dict[int, dict[str, Tensor]]
    param_groups: list[dict[str, Any]]


class _Shared(_Form):
    step: Step
    method: dict[str, Tensor]
    ema: dict[str, Tensor]
    optimizers: dict[str, _Memory] | None
    scaler: dict[str, float]
    plateau: dict[str, float]
    mishaps: _Mishaps
    images: int | None
    pictures: _Pictures | None


class _Meter(_Form):
    sums: dict[str, Tensor]
    counts: dict[str, Tensor]


class _Own(_Form):
    pools: dict[str, Tensor]
    meter: _Meter


class _State(_Form):
    shared: _Shared
    own: _Own


def check(folder: Path, shared: object, own: object) -> None:
    """Raise ValueError, which says what is wrong, unless this is what a training saves of all and of each process."""
    try:
        meter = _State.model_validate({"shared": shared, "own": own}).own.meter
    except ValidationError as error:
        raise ValueError(
            f"{folder}: not what a training of this version saves ({explain(error.errors()[0])})"
        ) from None
    if meter.sums.keys() != meter.counts.keys() or any(t.shape for t in [*meter.sums.values(), *meter.counts.values()]):
        raise ValueError(f"{folder}: not what a training of this version saves (own.meter: a number for each loss)")
