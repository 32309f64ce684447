"""What a run tells: log.jsonl, events.jsonl, the progress on a terminal, and nothing anywhere else.

`log.jsonl` follows from the configuration and the data alone, so a run that was interrupted and continued writes the
same file as one that was not. What depends on the machine and the hour goes to `events.jsonl`.
"""

from __future__ import annotations

import json
import time
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text
from torch import Tensor

from viceversa.engine.distributed import World
from viceversa.files import replacing
from viceversa.losses.adversarial import wide


class Meter:
    """Means of the losses since the last line of the log; part of the checkpoint."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.count = 0

    def add(self, losses: dict[str, Tensor]) -> None:
        """Add one step's losses, without waiting for the device."""
        for name, loss in losses.items():
            self.sums[name] = self.sums.get(name, 0) + wide(loss)
        self.count += 1

    def stacked(self) -> Tensor:
        """Return the means as one vector, in the order of the names."""
        return torch.stack(list(self.sums.values())) / self.count

    def state_dict(self) -> dict[str, Any]:
        """Return the sums and their count."""
        return {"sums": dict(self.sums), "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from saved sums."""
        self.sums, self.count = dict(state["sums"]), state["count"]


class Report:
    """Writes a run's facts and shows its progress; silent on all ranks but the first."""

    def __init__(self, run: Path, total: int, images_per_step: int, world: World) -> None:
        self.run, self.total, self.images_per_step, self.leads = run, total, images_per_step, world.leads
        self.console = Console(quiet=not world.leads, highlight=False)
        self.bar = Progress(
            MofNCompleteColumn(),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("left"),
            expand=True,
        )
        self.task = self.bar.add_task("", total=total, speed="")
        self.values = Text(overflow="ellipsis", no_wrap=True)
        self.live = Live(Group(self.values, self.bar), console=self.console, refresh_per_second=4)
        self.clock, self.clock_step = time.monotonic(), 0

    def __enter__(self) -> Report:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def begin(self, step: int) -> None:
        """Start counting at `step`, and forget what an earlier process logged beyond it."""
        self.clock, self.clock_step = time.monotonic(), step
        self.bar.update(self.task, completed=step)
        if self.leads:
            rewind(self.run / "log.jsonl", step)

    def say(self, text: str) -> None:
        """Print one line above the progress bar."""
        self.console.print(text, markup=False, soft_wrap=True)

    def stopping(self) -> None:
        """Answer the first request to stop."""
        self.say("stopping after this step; Ctrl-C again leaves at once, without saving")

    def leaving(self) -> None:
        """Answer the second one: give the terminal back as it was."""
        self.live.stop()
        self.say(f"{self.run}: left without saving what came after the last checkpoint")

    def advance(self, step: int) -> None:
        """Show that `step` steps are done."""
        self.bar.update(self.task, completed=step)

    def losses(self, step: int, epoch: int, lr: float, losses: dict[str, float]) -> None:
        """Log the mean losses up to `step`; on a terminal show them in the bar, else as a plain line."""
        now = time.monotonic()
        speed = (step - self.clock_step) * self.images_per_step / max(now - self.clock, 1e-9)
        self.clock, self.clock_step = now, step
        values = "  ".join(f"{name} {value:.3f}" for name, value in losses.items())
        self.values.plain = values
        self.bar.update(self.task, completed=step, speed=f"{speed:.1f} images/s")
        if not self.console.is_terminal:
            left = (self.total - step) * self.images_per_step / max(speed, 1e-9)
            self.say(f"step {step}/{self.total}  {values}  {speed:.1f} images/s  {_clock(left)} left")
        self._append("log.jsonl", {"step": step, "epoch": epoch, "lr": lr, "losses": losses})
        self._append("events.jsonl", {"event": "speed", "step": step, "images_per_second": round(speed, 3)})

    def event(self, name: str, step: int, **facts: Any) -> None:
        """Note something that happened on this machine, with the time of day."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._append("events.jsonl", {"event": name, "step": step, "time": now, **facts})

    def _append(self, name: str, fact: dict[str, Any]) -> None:
        if self.leads:
            with (self.run / name).open("a", encoding="utf-8") as file:
                file.write(json.dumps(fact) + "\n")


def rewind(path: Path, step: int) -> None:
    """Drop the lines of a log that lie beyond `step`, and a last line that was cut off by a crash."""
    if not path.exists():
        return
    kept = [line for line in path.read_text("utf-8").splitlines() if _step(line) <= step]
    with replacing(path) as temporary:
        temporary.write_text("".join(line + "\n" for line in kept), "utf-8")


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
