"""From the run's log to the sinks."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from viceversa.engine.sample_history import contact_sheet, read_samples, sample_steps
from viceversa.engine.sinks.base import Sink
from viceversa.files import replacing

log = logging.getLogger("viceversa")


class Feed:
    """Follows log.jsonl and samples/, and shows all sinks what is new to them.

    The log is the truth, and exact under continuation; what a sink has is read off it. So a sink that is added to an
    old run gets its whole history, and one that missed something because the process was killed gets that. A sink that
    fails (a server that is down) is warned of and left alone: no reason to end a training.
    """

    def __init__(self, run: Path, kinds: Mapping[str, type[Sink]], config: Mapping[str, Any]) -> None:
        self.run, self.kinds, self.config = run, kinds, config
        self.memory: dict[str, dict[str, Any]] = {}
        self.sinks: dict[str, Sink] = {}
        self.offset, self.file = 0, -1  # how far the log was read, and which file it was then

    def open(self) -> None:
        """Open all sinks, from the beginning of the log; raise ValueError if a package is missing."""
        path = self.run / "sinks.json"
        self.memory = json.loads(path.read_text("utf-8")) if path.exists() else {}
        self.offset, self.file = 0, self._log_file()
        self.sinks = {
            name: kind(self.run, self.config, self.memory.setdefault(name, {})) for name, kind in self.kinds.items()
        }
        self._remember()

    def __enter__(self) -> Feed:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.follow()
        self.close()

    def follow(self) -> None:
        """Show what is new. A log that was cut back, since the run went back, is read from its beginning."""
        if not self.sinks or self._log_file() == -1:
            return
        if self.file not in (-1, self._log_file()):
            self.close()
            self.open()
        self.file = self._log_file()
        found = self._new_numbers()
        sampled = sample_steps(self.run / "samples")
        for name in list(self.sinks):
            try:
                self._show(name, self.sinks[name], found, sampled)
            except Exception as error:
                log.warning("%s: no longer logged to (%s)", name, " ".join(str(error).split()) or type(error).__name__)
                del self.sinks[name]
        self._remember()

    def close(self) -> None:
        """Close all sinks."""
        for name, sink in self.sinks.items():
            try:
                sink.close()
            except Exception as error:
                log.warning("%s: not closed (%s)", name, error)
        self.sinks = {}

    def _show(self, name: str, sink: Sink, found: Mapping[int, dict[str, float]], sampled: Sequence[int]) -> None:
        for step in sorted({*found, *sampled}):
            if step <= sink.last:
                continue
            if step in found:
                sink.numbers(step, found[step])
            if step in sampled:
                with TemporaryDirectory() as folder:
                    path = Path(folder) / f"step-{step:08d}.png"
                    contact_sheet(read_samples(self.run / "samples", step)).save(path)
                    sink.picture(step, path)
            sink.last = self.memory[name]["step"] = step
        sink.flush()

    def _remember(self) -> None:
        if self.kinds:
            with replacing(self.run / "sinks.json", durable=False) as temporary:
                temporary.write_text(json.dumps(self.memory) + "\n", "utf-8")

    def _new_numbers(self) -> dict[int, dict[str, float]]:
        found: dict[int, dict[str, float]] = {}
        with (self.run / "log.jsonl").open(encoding="utf-8") as file:
            file.seek(self.offset)
            for line in file.read().splitlines():
                fact = json.loads(line)
                if "event" not in fact:
                    found.setdefault(fact["step"], {}).update(numbers(fact))
            self.offset = file.tell()
        return found

    def _log_file(self) -> int:
        path = self.run / "log.jsonl"
        return path.stat().st_ino if path.exists() else -1


def numbers(fact: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a line of log.jsonl, by the names under which sinks show them."""
    found = {f"loss/{name}": value for name, value in fact.get("losses", {}).items()}
    if "lr" in fact:
        found["lr"] = fact["lr"]
    for direction, scores in fact.get("metrics", {}).items():
        found |= {f"{direction}/{name}": value for name, value in scores.items()}
    return {name: value for name, value in found.items() if value is not None}
