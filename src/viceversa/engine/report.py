"""What a run tells: log.jsonl, events.jsonl, the progress on a terminal, and nothing anywhere else.

`log.jsonl` follows from the configuration and the data alone, so a run that was interrupted and continued writes the
same file as one that was not. What depends on the machine and the hour goes to `events.jsonl`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text
from torch import Tensor

from viceversa.engine.distributed import DistInfo
from viceversa.engine.mishaps import Fault, blame
from viceversa.files import replacing
from viceversa.losses.adversarial import to_float32


class Meter:
    """Means of the losses since the last line of the log, without those that are not finite; part of the checkpoint."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, Tensor] = {}

    def add(self, losses: dict[str, Tensor]) -> None:
        """Add one step's losses, without waiting for the device."""
        for name, loss in losses.items():
            loss, finite = to_float32(loss), loss.isfinite()
            self.sums[name] = self.sums.get(name, 0) + torch.where(finite, loss, 0)
            self.counts[name] = self.counts.get(name, 0) + finite.to(loss.dtype)

    def stacked(self) -> Tensor:
        """Return sums and counts as one vector, so that processes can add theirs up."""
        return torch.stack([*self.sums.values(), *self.counts.values()])

    def means(self, stacked: Tensor) -> dict[str, float | None]:
        """Return the means, given `stacked` of one or all processes; None where nothing was finite."""
        sums, counts = stacked.chunk(2)
        means = (sums / counts).tolist()
        return {name: mean if mean == mean else None for name, mean in zip(self.sums, means, strict=True)}

    def state_dict(self) -> dict[str, Any]:
        """Return the sums and their counts."""
        return {"sums": dict(self.sums), "counts": dict(self.counts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from saved sums."""
        self.sums, self.counts = dict(state["sums"]), dict(state["counts"])


class Report:
    """Writes a run's facts and shows its progress; silent on all ranks but the first."""

    def __init__(self, run: Path, total: int, images_per_step: int, dist: DistInfo) -> None:
        self.run, self.total, self.images_per_step, self.leads = run, total, images_per_step, dist.is_main
        self.console = Console(quiet=not dist.is_main, highlight=False)
        self.bar = Progress(
            MofNCompleteColumn(),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            expand=True,
        )
        self.task = self.bar.add_task("", total=total, speed="", left="")
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

    def begin(self, step: int, rollbacks: Sequence[dict[str, Any]] = ()) -> None:
        """Start counting at `step`, forget what was logged beyond it, and see that the log tells of each rollback."""
        self.clock, self.clock_step = time.monotonic(), step
        self.bar.update(self.task, completed=step)
        if self.leads:
            told = rewind(self.run / "log.jsonl", step)
            for fact in rollbacks[told:]:
                self._append("log.jsonl", {"step": step, "event": "went back", **fact})
            rewind(self.run / "metrics.jsonl", step)

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

    def losses(
        self, step: int, epoch: int, lr: float, losses: dict[str, float | None], left: float | None = None
    ) -> None:
        """Log the mean losses up to `step`; on a terminal show them in the bar, else as a plain line.

        `left` are the seconds that the training will still take, if that is known.
        """
        now = time.monotonic()
        speed = (step - self.clock_step) * self.images_per_step / max(now - self.clock, 1e-9)
        self.clock, self.clock_step = now, step
        values = "  ".join(f"{name} {'-' if value is None else f'{value:.3f}'}" for name, value in losses.items())
        self.values.plain = values
        remaining = "" if left is None else f"{_clock(left)} left"
        self.bar.update(self.task, completed=step, speed=f"{speed:.1f} images/s", left=remaining)
        if not self.console.is_terminal:
            self.say(f"step {step}/{self.total}  {values}  {speed:.1f} images/s  {remaining}".rstrip())
        self._append("log.jsonl", {"step": step, "epoch": epoch, "lr": lr, "losses": losses})
        self._append("events.jsonl", {"event": "speed", "step": step, "images_per_second": round(speed, 3)})

    def fault(self, fault: Fault) -> None:
        """Log a step of which something was skipped, and say so."""
        self.say(f"step {fault['step']}: {blame(fault)}; skipped")
        self._append("log.jsonl", {"step": fault["step"], "event": "skipped", **fault})

    def scores(self, step: int, per_epoch: int, lines: Sequence[dict[str, Any]]) -> None:
        """Log what the translators scored: in metrics.jsonl with all conditions, in log.jsonl in short."""
        short: dict[str, dict[str, float | None]] = {}
        for line in lines:
            self._append("metrics.jsonl", line)
            short.setdefault(line["direction"], {})[line["metric"]] = line["value"]
        self._append("log.jsonl", {"step": step, "epoch": (step - 1) // per_epoch, "metrics": short})
        for direction, values in short.items():
            found = "  ".join(f"{name} {'-' if value is None else f'{value:.4g}'}" for name, value in values.items())
            self.say(f"step {step}/{self.total}  {direction}  {found}")

    def event(self, name: str, step: int, **facts: Any) -> None:
        """Note something that happened on this machine, with the time of day."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._append("events.jsonl", {"event": name, "step": step, "time": now, **facts})

    def _append(self, name: str, fact: dict[str, Any]) -> None:
        if self.leads:
            with (self.run / name).open("a", encoding="utf-8") as file:
                file.write(json.dumps(fact) + "\n")


def rewind(path: Path, step: int) -> int:
    """Drop the lines of a log that lie beyond `step`, and a last line that was cut off by a crash.

    Return how many rollbacks the rest tells of.
    """
    if not path.exists():
        return 0
    kept = [line for line in path.read_text("utf-8", "replace").splitlines() if _step(line) <= step]
    with replacing(path) as temporary:
        temporary.write_text("".join(line + "\n" for line in kept), "utf-8")
    return sum(json.loads(line).get("event") == "went back" for line in kept)


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return float("inf")


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
