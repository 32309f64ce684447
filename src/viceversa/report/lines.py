"""The lines of a run's logs: what each must hold. Others are passed over, whoever wrote them.

The last line may be cut off, since a training writes it just now; and a run's folder may come from a stranger.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Step = Annotated[int, Field(ge=0, lt=10**12)]
Positive = Annotated[float, Field(ge=0)]
Line: TypeAlias = dict[str, Any]


class Form(BaseModel):
    """What a line must hold; it may hold more."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, strict=True, protected_namespaces=())


class Losses(Form):
    """Of log.jsonl: the mean losses since the line before; None where nothing was finite."""

    step: Step
    epoch: int = 0
    lr: float
    losses: dict[str, float | None]


class Event(Form):
    """Of events.jsonl, and of log.jsonl where the guard did something."""

    step: Step
    event: str
    images_per_second: Positive = 0
    total: Step | None = None
    processes: Annotated[int, Field(ge=1, le=10**6)] = 1
    data: str | None = None
    environment: dict[str, Any] = {}


class Metric(Form):
    """Of metrics.jsonl: one score."""

    step: Step
    direction: Literal["AtoB", "BtoA"]
    metric: str
    value: float
    weights: str = ""
    spread: float | None = None
    baseline: dict[str, float | None] | None = None
    protocol: dict[str, Any] | None = None


class Found(Form):
    """Of doctor.jsonl: what is wrong."""

    step: Step
    since: Step
    finding: str
    severity: Literal["note", "warning", "error"]
    message: str
    remedy: str
    picture: str | None = None


def read_lines(path: Path, form: type[Form]) -> list[Line]:
    """Return the lines of a log that are whole and of the form, oldest first; none if there is no log."""
    text = path.read_text("utf-8", "replace") if path.is_file() else ""
    return [line for line in map(_parsed, text.splitlines()) if _fits(line, form)]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _fits(line: object, form: type[Form]) -> bool:
    try:
        form.model_validate(line)
    except ValidationError:
        return False
    return True
