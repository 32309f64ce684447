"""What a run tells: log.jsonl, events.jsonl, a line and a bar on the terminal, and the loggers that were asked for.

`log.jsonl` follows from the configuration and the data alone, so a run that was interrupted and continued writes the
same file as one that was not. What depends on the machine and the hour goes to `events.jsonl`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

from viceversa.config import Config
from viceversa.engine import distributed
from viceversa.engine.distributed import DistInfo
from viceversa.engine.loggers import Loggers
from viceversa.engine.nan_guard import Fault, Rollback, blame
from viceversa.engine.run_dir import Line, RunDir, read_lines, write_lines
from viceversa.losses.adversarial import to_float32


class Meter:
    """Means of the losses since the last line of the log, without those that are not finite; part of the checkpoint."""

    def __init__(self) -> None:
        self.totals: dict[str, Tensor] = {}
        """By loss, [sum, count]."""

    def add(self, losses: dict[str, Tensor]) -> None:
        """Add one step's losses, without waiting for the device."""
        for name, loss in losses.items():
            loss, finite = to_float32(loss), loss.isfinite()
            added = torch.stack([torch.where(finite, loss, 0), finite.to(loss.dtype)])
            self.totals[name] = self.totals[name] + added if name in self.totals else added

    def means(self, dist: DistInfo) -> dict[str, float | None]:
        """Return the means over all processes, None where nothing was finite, and begin anew."""
        totals = distributed.all_gather(torch.stack(list(self.totals.values())).cpu(), dist)
        sums, counts = torch.stack(totals).sum(0).unbind(1)
        means = dict(zip(self.totals, (sums / counts).tolist(), strict=True))
        self.totals = {}
        return {name: mean if mean == mean else None for name, mean in means.items()}

    def load(self, totals: dict[str, Tensor]) -> None:
        """Go on from saved sums; raise ValueError if they are none."""
        if not all(isinstance(value, Tensor) and value.shape == (2,) for value in totals.values()):
            raise ValueError("meter: no sums of losses")
        self.totals = dict(totals)


class RunLog:
    """Writes down what happens in a run and shows its progress; silent on all ranks but the first."""

    def __init__(self, run: RunDir, config: Config, steps_per_epoch: int, dist: DistInfo) -> None:
        self.run, self.steps_per_epoch, self.dist = run, steps_per_epoch, dist
        self.total = config.train.length.steps(steps_per_epoch)
        self.images_per_step = config.train.batch * dist.world_size
        ipython = sys.modules.get("IPython")
        self.in_notebook = ipython is not None and hasattr(ipython.get_ipython(), "kernel")
        names = (*config.train.log_to, *["notebook"] * self.in_notebook)
        self.loggers = Loggers(run, config, self.total, names if dist.is_main else ())
        self.console = Console(quiet=not dist.is_main, highlight=False)
        columns = MofNCompleteColumn(), BarColumn(None), TimeElapsedColumn(), TimeRemainingColumn()
        off = not self.console.is_terminal
        self.bar = Progress(*columns, console=self.console, disable=off, expand=True, speed_estimate_period=600)
        self.task = self.bar.add_task("", total=self.total)
        self.clock, self.clock_step = time.monotonic(), 0

    def __enter__(self) -> RunLog:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()
        self.loggers.close()

    def begin(self, step: int, rollbacks: Sequence[Rollback] = ()) -> None:
        """Start counting at `step`, forget what was logged beyond it, and see that the log tells of each rollback."""
        self.clock, self.clock_step = time.monotonic(), step
        self.bar.reset(self.task, completed=step)
        if self.dist.is_main:
            logged = max((line["step"] for line in read_lines(self.run.log)), default=-1)
            kept = rewind(self.run.log, step)
            told = sum(line.get("event") == "went back" for line in kept)
            for rollback in rollbacks[told:]:
                self._append(self.run.log, {"step": step, "event": "went back", **rollback})
            rewind(self.run.metrics, step)
            self.loggers.open(step, logged)

    def say(self, text: str) -> None:
        """Print one line above the progress bar."""
        self.console.print(text, markup=False, soft_wrap=True)

    def advance(self, step: int) -> None:
        """Show that `step` steps are done."""
        self.bar.update(self.task, completed=step)

    def losses(self, step: int, lr: float, losses: dict[str, float | None]) -> None:
        """Log the mean losses up to `step`."""
        now = time.monotonic()
        speed = (step - self.clock_step) * self.images_per_step / max(now - self.clock, 1e-9)
        self.clock, self.clock_step = now, step
        left = self.bar.tasks[0].time_remaining if step < self.total else None
        remaining = "" if left is None else f"{timedelta(seconds=int(left))} left"
        values = "  ".join(f"{name} {'-' if value is None else f'{value:.3f}'}" for name, value in losses.items())
        if not self.in_notebook:  # where a cell has it
            self.say(f"step {step}/{self.total}  {values}  {speed:.1f} images/s  {remaining}".rstrip())
        self._append(self.run.log, {"step": step, "epoch": self._epoch(step), "lr": lr, "losses": losses})
        self._append(self.run.events, {"event": "speed", "step": step, "images_per_second": round(speed, 3)})
        self.loggers.log(step, {"lr": lr, **{f"loss/{name}": value for name, value in losses.items()}})

    def scores(self, step: int, lines: Sequence[dict[str, Any]]) -> None:
        """Log what the translators scored: in metrics.jsonl with all conditions, in log.jsonl in short."""
        short: dict[str, dict[str, float | None]] = {}
        for line in lines:
            self._append(self.run.metrics, line)
            short.setdefault(line["direction"], {})[line["metric"]] = line["value"]
        self._append(self.run.log, {"step": step, "epoch": self._epoch(step), "metrics": short})
        for direction, values in short.items():
            found = "  ".join(f"{name} {'-' if value is None else f'{value:.4g}'}" for name, value in values.items())
            self.say(f"step {step}/{self.total}  {direction}  {found}")
            self.loggers.log(step, {f"{direction}/{name}": value for name, value in values.items()})

    def fault(self, fault: Fault) -> None:
        """Log a step of which something was skipped, and say so."""
        self.say(f"step {fault['step']}: {blame(fault)}; skipped")
        self._append(self.run.log, {"step": fault["step"], "event": "skipped", **fault})

    def event(self, name: str, step: int, **facts: Any) -> None:
        """Note something that happened on this machine, with the time of day."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._append(self.run.events, {"event": name, "step": step, "time": now, **facts})

    def _epoch(self, step: int) -> int:
        return (step - 1) // self.steps_per_epoch

    def _append(self, path: Path, fact: dict[str, Any]) -> None:
        if self.dist.is_main:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(fact) + "\n")


def rewind(path: Path, step: int) -> list[Line]:
    """Drop the lines of a log that lie beyond `step`, and what is no line, such as one cut off by a crash."""
    kept = [line for line in read_lines(path) if line["step"] <= step]
    if path.exists():
        write_lines(path, kept)
    return kept
