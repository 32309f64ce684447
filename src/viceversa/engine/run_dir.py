"""A run's folder: what it holds, under which names, and who trains in it. Whoever reads or writes a run asks here.

    config.yaml                      the complete configuration
    log.jsonl                        losses, scores, and what the NaN guard did: the same however often interrupted
    events.jsonl                     started, continued, finished, speed: what depends on the machine and the hour
    metrics.jsonl                    scores with all their conditions
    doctor.jsonl                     what is wrong now
    checkpoints/step-00005000.pt     all that the next step depends on
    weights/AtoB.safetensors         the translators (averaged; .raw: not averaged; best-: those that scored best)
    samples/                         test images, translated
    report.html                      all of it as a page

Everything but config.yaml is optional. The last line of a log may be cut off, since a training is writing it just now;
and a run's folder may come from a stranger. So a line that does not hold what it must is passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from viceversa import methods
from viceversa.config import Config, load_config, to_yaml
from viceversa.engine.sample_history import sample_steps
from viceversa.files import lock_run, replacing

Step = Annotated[int, Field(ge=0, lt=10**12)]
Positive = Annotated[float, Field(ge=0)]
Line: TypeAlias = dict[str, Any]


class RunDir:
    """The paths of a run's folder."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.log = self.path / "log.jsonl"
        self.events = self.path / "events.jsonl"
        self.metrics = self.path / "metrics.jsonl"
        self.doctor = self.path / "doctor.jsonl"
        self.loggers = self.path / "loggers.json"
        self.report = self.path / "report.html"
        self.checkpoints = self.path / "checkpoints"
        self.samples = self.path / "samples"
        self.weights = self.path / "weights"

    def __str__(self) -> str:
        return str(self.path)

    def __fspath__(self) -> str:
        return str(self.path)

    def _repr_png_(self) -> bytes | None:
        """The newest samples, which a notebook shows."""
        sheet = self.samples / "latest.png"
        return sheet.read_bytes() if sheet.is_file() else None

    def keep(self, config: Config) -> None:
        """Write the complete configuration."""
        with replacing(self.config) as temporary:
            temporary.write_text(to_yaml(config, methods.describe(config)), "utf-8")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from training in the same folder while the block runs; raise ConfigError if it is taken."""
        self.path.mkdir(parents=True, exist_ok=True)
        with lock_run(self.path):
            try:
                yield
            finally:
                if self.path.is_dir() and [path.name for path in self.path.iterdir()] == [".lock"]:
                    (self.path / ".lock").unlink()  # nothing came of it
                    self.path.rmdir()


def checkpoint_files(folder: Path, part: str = "") -> list[Path]:
    """Return the checkpoints in a folder, newest first; or the parts of them whose names have `part` (a pattern)."""
    return sorted((p for p in folder.glob("step-*.pt") if re.fullmatch(rf"step-\d+{part}\.pt", p.name)), reverse=True)


def checkpoint_step(path: Path) -> int:
    """Return the number of steps after which a checkpoint was written."""
    return int(path.name.removeprefix("step-").partition(".")[0])


class LogLine(BaseModel):
    """What a line must hold; it may hold more."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, strict=True, protected_namespaces=())
    step: Step


class LossLine(LogLine):
    """Of log.jsonl: the mean losses since the line before; None where nothing was finite."""

    epoch: int = 0
    lr: float
    losses: dict[str, float | None]


class EventLine(LogLine):
    """Of events.jsonl, and of log.jsonl where the guard did something."""

    event: str
    images_per_second: Positive = 0
    total: Step | None = None
    processes: Annotated[int, Field(ge=1, le=10**6)] = 1
    data: str | None = None
    environment: dict[str, Any] = {}


class MetricLine(LogLine):
    """Of metrics.jsonl: one score."""

    direction: Literal["AtoB", "BtoA"]
    metric: str
    value: float | None
    weights: str = ""
    spread: float | None = None
    baseline: dict[str, float | None] | None = None
    protocol: dict[str, Any] | None = None


class FindingLine(LogLine):
    """Of doctor.jsonl: what is wrong, since when, how one sees it, and the remedy in terms of our keys."""

    since: Step
    finding: str
    severity: Literal["note", "warning", "error"]
    message: str
    remedy: str
    picture: str | None = None
    """Input and output where it shows most, relative to the run."""


@dataclass(frozen=True)
class RunRecord:
    """What a run's folder tells: its logs, a dictionary a line, the oldest first."""

    run: Path
    config: Config
    text: str
    """config.yaml as it stands."""
    losses: list[Line]
    incidents: list[Line]
    """The other lines of log.jsonl: what the NaN guard noticed and did."""
    events: list[Line]
    metrics: list[Line]
    findings: list[Line]
    sample_steps: list[int]

    @property
    def step(self) -> int:
        """How many steps are done, as far as the logs tell."""
        steps: list[int] = [line["step"] for line in [*self.losses, *self.events]]
        return max([0, *self.sample_steps, *steps])

    @property
    def started(self) -> Line:
        """The last event that began a session; it carries the data's note and the environment."""
        return next((e for e in reversed(self.events) if e["event"] in ("started", "continued")), {})

    @property
    def total(self) -> int | None:
        """How many steps there will be; None if it is not known."""
        length = self.config.train.length
        return length.amount if length.unit == "steps" else self.started.get("total")

    @property
    def ended(self) -> str | None:
        """`finished` or `interrupted`, if the last session said so."""
        told = "started", "continued", "finished", "interrupted"
        last = next((event["event"] for event in reversed(self.events) if event["event"] in told), "")
        return last if last in ("finished", "interrupted") else None

    @property
    def images_per_step(self) -> int:
        """Images of each domain in a step."""
        return self.config.train.batch * int(self.started.get("processes", 1))

    @property
    def speeds(self) -> dict[int, float]:
        """Images a second up to a step; a step that was done again counts as it was the last time."""
        return {e["step"]: e["images_per_second"] for e in self.events if e.get("images_per_second", 0) > 0}

    @cached_property
    def clock(self) -> dict[int, float]:
        """Seconds that the training had taken up to a step, without pauses; steps that were done twice count twice."""
        taken, before, found = 0.0, 0, {0: 0.0}
        for event in self.events:
            if event.get("images_per_second", 0) > 0:
                taken += max(0, event["step"] - before) * self.images_per_step / event["images_per_second"]
                found[event["step"]] = taken
            before = event["step"]
        return dict(sorted(found.items()))

    def seconds_at(self, step: int) -> float:
        """Return how long the training had taken up to a step, interpolated."""
        return float(np.interp(step, list(self.clock), list(self.clock.values())))

    @property
    def seconds(self) -> float:
        """How long the training took in all."""
        return max(self.clock.values())


def read_run(run: Path) -> RunRecord:
    """Read a run's folder; raise FileNotFoundError if it is none."""
    folder = RunDir(run)
    if not folder.config.is_file():
        raise FileNotFoundError(f"{run}: not a run, it has no config.yaml; name the folder that a training wrote")
    return RunRecord(
        run=run,
        config=load_config(folder.config),
        text=folder.config.read_text("utf-8", "replace"),
        losses=read_lines(folder.log, LossLine),
        incidents=read_lines(folder.log, EventLine),
        events=read_lines(folder.events, EventLine),
        metrics=read_lines(folder.metrics, MetricLine),
        findings=read_lines(folder.doctor, FindingLine),
        sample_steps=sample_steps(folder.samples),
    )


def read_lines(path: Path, form: type[LogLine] = LogLine) -> list[Line]:
    """Return the lines of a log that are whole and of the form, the oldest first; none if there is no log."""
    text = path.read_text("utf-8", "replace") if path.is_file() else ""
    found = []
    for line in text.splitlines():
        with suppress(ValueError, RecursionError):  # pydantic's error is a ValueError
            fact = json.loads(line)
            form.model_validate(fact)
            found.append(fact)
    return found


def write_lines(path: Path, lines: Iterable[Line]) -> None:
    """Write a log anew."""
    with replacing(path) as temporary:
        temporary.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
