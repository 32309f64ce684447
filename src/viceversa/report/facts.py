"""What a run's folder tells. Everything but config.yaml is optional: a page is made of what there is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from viceversa.config import Config, load_config
from viceversa.report.lines import Event, Found, Line, Losses, Metric, read_lines


@dataclass(frozen=True)
class Facts:
    """The logs of a run, a dictionary a line, oldest first."""

    run: Path
    config: Config
    text: str
    """config.yaml as it stands."""
    losses: list[Line]
    """Lines of log.jsonl: step, epoch, lr, losses."""
    troubles: list[Line]
    """The other lines of log.jsonl: what the guard noticed and did."""
    events: list[Line]
    metrics: list[Line]
    findings: list[Line]
    sheets: dict[int, Path]
    """Sample sheets by step."""

    @property
    def step(self) -> int:
        """How many steps are done, as far as the logs tell."""
        steps: list[int] = [line["step"] for line in [*self.losses, *self.events]]
        return max([0, *self.sheets, *steps])

    @property
    def started(self) -> Line:
        """The last event that began a session; it carries the data's note and the environment."""
        return next((e for e in reversed(self.events) if e.get("event") in ("started", "continued")), {})

    @property
    def total(self) -> int | None:
        """How many steps there will be; None if it is not known."""
        length = self.config.train.length
        return length.amount if length.unit == "steps" else self.started.get("total")

    @property
    def ended(self) -> str | None:
        """`finished` or `interrupted`, if the last session said so."""
        for event in reversed(self.events):
            if event.get("event") in ("finished", "interrupted"):
                return str(event["event"])
            if event is self.started:
                return None
        return None

    @property
    def images_per_step(self) -> int:
        """Pictures of each world in a step."""
        return self.config.train.batch * int(self.started.get("processes", 1))

    @property
    def speeds(self) -> list[tuple[int, float]]:
        """Step, and pictures a second up to it."""
        return [(e["step"], e["images_per_second"]) for e in self.events if e.get("event") == "speed"]

    @property
    def seconds(self) -> float:
        """How long the training took, without pauses between sessions; steps that were done twice count twice."""
        taken, before = 0.0, 0
        for event in self.events:
            if event.get("event") == "speed" and event["images_per_second"] > 0:
                taken += max(0, event["step"] - before) * self.images_per_step / event["images_per_second"]
            before = event["step"]
        return taken


def read_facts(run: Path) -> Facts:
    """Read a run's folder; raise FileNotFoundError if it is none."""
    path = run / "config.yaml"
    if not path.is_file():
        raise FileNotFoundError(f"{run}: not a run, it has no config.yaml; name the folder that a training wrote")
    return Facts(
        run=run,
        config=load_config(path),
        text=path.read_text("utf-8"),
        losses=read_lines(run / "log.jsonl", Losses),
        troubles=read_lines(run / "log.jsonl", Event),
        events=read_lines(run / "events.jsonl", Event),
        metrics=read_lines(run / "metrics.jsonl", Metric),
        findings=read_lines(run / "doctor.jsonl", Found),
        sheets=sheets(run),
    )


def sheets(run: Path) -> dict[int, Path]:
    """Return a run's sheets of samples by step, in their order."""
    found = {path: re.fullmatch(r"step-(\d{1,12})\.png", path.name) for path in sorted((run / "samples").glob("*.png"))}
    return {int(name[1]): path for path, name in found.items() if name}
