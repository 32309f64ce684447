"""Trainings: `viceversa train` in processes of their own, one at a time, from a queue on disk.

A training survives the studio: it is a session of its own, and .studio/queue holds a file for each that is not over.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

import psutil

from viceversa.files import in_training, replacing
from viceversa.studio.workspace import Workspace

COMMAND = (sys.executable, "-m", "viceversa")
LAST_WORDS = 8192  # bytes
KILLED = (
    "The training was ended from outside: the machine was out of memory or restarted, or somebody ended the process. "
    "What was done since the newest checkpoint is lost; Continue goes on from there."
)


@dataclass(frozen=True)
class Training:
    """One training of the queue. `words` stand after `viceversa`; `born` tells its process from a later one's."""

    number: int
    run: str
    words: list[str]
    pid: int = 0
    born: float = 0.0
    stopping: bool = False
    paused: bool = False

    @property
    def state(self) -> str:
        """What the page calls it; empty when it is over."""
        if self.process:
            return "saving" if self.stopping or self.paused else "in training"
        return "paused" if self.paused else "" if self.pid else "waiting"

    @property
    def process(self) -> psutil.Process | None:
        """Its process, if that has not ended."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.born) < 1 and psutil.wait_procs([process], timeout=0)[1]:
                return process
        return None


class Trainings:
    """The queue of a workspace. `advance`, called every so often, drops what has ended and starts what waits."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.folder = workspace, workspace.own("queue")
        self.children: list[subprocess.Popen[bytes]] = []

    def all(self) -> list[Training]:
        """Return the trainings that are not over, the oldest first; what cannot be read is left out."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            with suppress(OSError, ValueError, TypeError):
                found.append(Training(**json.loads(path.read_text("utf-8"))))
        return found

    def of(self, run: str) -> Training | None:
        """Return the training of a run, if it is not over."""
        return next((one for one in self.all() if one.run == run and one.state), None)

    def state(self, run: str, ended: str | None = None) -> str:
        """Return a run's state in a word: of its training here, how it `ended`, or whether it is trained elsewhere."""
        if training := self.of(run):
            return training.state
        return ended or ("in training" if in_training(self.workspace.path(run)) else "interrupted")

    def add(self, run: str, words: Sequence[str]) -> None:
        """Queue a training, and start it if nothing else is to be done."""
        if self.of(run):
            raise ValueError(f"{run}: is in training already, or waits for it")
        number = 1 + max((one.number for one in self.all()), default=0)
        self._keep(Training(number, run, list(words)))
        self.advance()

    def stop(self, training: Training) -> None:
        """Let a training save and end; drop one that waits or is paused."""
        if process := training.process:
            self._keep(replace(training, stopping=True, paused=False))
            process.terminate()
        else:
            self._drop(training)

    def pause(self, training: Training) -> None:
        """Let a training save and end, and keep its place: no other starts."""
        self._keep(replace(training, paused=True))
        if process := training.process:
            process.terminate()

    def resume(self, training: Training) -> None:
        """Let a paused training go on: the same command continues where it stopped."""
        self._keep(replace(training, paused=False, pid=0))
        self.advance()

    def advance(self) -> None:
        """Drop the trainings that are over, and start the first that waits, unless one is on or paused."""
        self.children = [child for child in self.children if child.poll() is None]
        for one in self.all():
            if not one.state or (one.state == "paused" and self.ending(one.run)[0] in ("done", "failed")):
                self._drop(one)
        live = self.all()
        if live and all(one.state == "waiting" for one in live):
            self._start(live[0])

    def last_words(self, run: str) -> list[str]:
        """Return the last lines that a run's training said."""
        try:
            with self.workspace.log(run).open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - LAST_WORDS))
                return log.read().decode("utf-8", "replace").splitlines()[-40:]
        except OSError:
            return []

    def ending(self, run: str) -> tuple[str, str]:
        """Return how a run's last training ended, by its last words: done, saved, failed or killed; and what is wrong.

        A training elsewhere, in a terminal, has left no words here: it counts as saved.
        """
        if not self.workspace.log(run).exists():
            return "saved", ""
        lines = self.last_words(run) or [""]
        if lines[-1].endswith("continues"):  # so ends one that was asked to
            return "saved", ""
        if ": trained; try: viceversa " in lines[-1]:
            return "done", ""
        if lines[-1].startswith("viceversa: ") or any(line.startswith("Traceback") for line in lines):
            return "failed", lines[-1].removeprefix("viceversa: ")
        return "killed", KILLED

    def _start(self, training: Training) -> None:
        with self.workspace.log(training.run).open("wb") as log:
            child = subprocess.Popen(
                [*COMMAND, *training.words],
                cwd=self.workspace.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.children.append(child)
        self._keep(replace(training, pid=child.pid, born=psutil.Process(child.pid).create_time()))

    def _keep(self, training: Training) -> None:
        with replacing(self.folder / f"{training.number:06d}.json") as temporary:
            temporary.write_text(json.dumps(asdict(training)), "utf-8")

    def _drop(self, training: Training) -> None:
        if (training.stopping or training.paused) and self.ending(training.run)[0] == "killed":
            with self.workspace.log(training.run).open("a", encoding="utf-8") as log:  # it had not begun to listen
                log.write(f"{training.run}: stopped; the same command again continues\n")
        (self.folder / f"{training.number:06d}.json").unlink(missing_ok=True)
