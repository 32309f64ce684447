"""Trainings: `viceversa train` in processes of their own, one at a time, from a queue on disk.

A training survives the studio: it is a session of its own, and what is known of it lies in .studio/queue, a file each.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import psutil

from viceversa.files import replacing
from viceversa.studio.workspace import Workspace

TrainingState: TypeAlias = Literal["waiting", "training", "stopping", "paused", "ended"]
COMMAND = (sys.executable, "-m", "viceversa")


@dataclass(frozen=True)
class Training:
    """One training of the queue. `words` stand after `viceversa`; `born` tells its process from a later one's."""

    number: int
    run: str
    words: list[str]
    state: TrainingState = "waiting"
    pid: int = 0
    born: float = 0.0
    hold: bool = False
    """Pause when it stops: it stays the next in the queue, and those behind it wait."""

    @property
    def command(self) -> str:
        """What one would type."""
        return typed(self.words)


class Trainings:
    """The queue of a workspace. `advance`, called every so often, notices what ended and starts what waits."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.folder = workspace, workspace.own("queue")
        self.children: dict[int, subprocess.Popen[bytes]] = {}

    def all(self) -> list[Training]:
        """Return all trainings, the oldest first; what cannot be read is left out."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            try:
                found.append(Training(**json.loads(path.read_text("utf-8"))))
            except (OSError, ValueError, TypeError):
                continue
        return found

    def of(self, run: str) -> Training | None:
        """Return the newest training of a run."""
        return next((one for one in reversed(self.all()) if one.run == run), None)

    def busy(self, run: str) -> bool:
        """Whether a run is in training, or will be."""
        return any(one.run == run and one.state != "ended" for one in self.all())

    def add(self, run: str, words: Sequence[str]) -> Training:
        """Queue a training, and start it if nothing else is to be done."""
        if self.busy(run):
            raise ValueError(f"{run}: is in training already, or waits for it")
        number = 1 + max((one.number for one in self.all()), default=0)
        return self._keep(Training(number, run, list(words)))

    def stop(self, training: Training, *, pause: bool = False) -> None:
        """Let a training save and end; with `pause`, it goes on before those that wait. One that waits is dropped."""
        if training.state in ("waiting", "paused"):
            self._keep(replace(training, state="paused" if pause else "ended"))
        elif process := _process(training):
            self._keep(replace(training, state="stopping", hold=pause))
            process.terminate()

    def resume(self, training: Training) -> None:
        """Let a paused training go on."""
        self._keep(replace(training, state="waiting", hold=False))

    def advance(self) -> None:
        """Note which trainings have ended, and start the first that waits, unless one is on or paused."""
        for one in self.all():
            if one.state in ("training", "stopping") and not self._alive(one):
                self._keep(replace(one, state="paused" if one.hold else "ended", pid=0))
        live = [one for one in self.all() if one.state != "ended"]
        if live and live[0].state == "waiting" and not any(one.pid for one in live):
            self._start(live[0])

    def last_words(self, training: Training) -> list[str]:
        """Return the last lines that a training said."""
        try:
            with self._log(training).open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - 8192))
                return log.read().decode("utf-8", "replace").splitlines()[-40:]
        except OSError:
            return []

    def _start(self, training: Training) -> None:
        with self._log(training).open("ab") as log:
            child = subprocess.Popen(
                [*COMMAND, *training.words],
                cwd=self.workspace.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.children[child.pid] = child
        born = psutil.Process(child.pid).create_time()
        self._keep(replace(training, state="training", pid=child.pid, born=born))

    def _alive(self, training: Training) -> bool:
        child = self.children.get(training.pid)
        if child and child.poll() is not None:
            return False
        process = _process(training)
        return process is not None and process.status() != psutil.STATUS_ZOMBIE

    def _log(self, training: Training) -> Path:
        return self.folder / f"{training.number:04d}.log"

    def _keep(self, training: Training) -> Training:
        with replacing(self.folder / f"{training.number:04d}.json") as temporary:
            temporary.write_text(json.dumps(asdict(training)), "utf-8")
        return training


def typed(words: Sequence[str]) -> str:
    """Return a viceversa command that can be pasted into a shell."""
    return shlex.join(["viceversa", *words])


def _process(training: Training) -> psutil.Process | None:
    """Return the process of a training, if it is still that."""
    try:
        process = psutil.Process(training.pid)
        return process if abs(process.create_time() - training.born) < 1 else None
    except psutil.NoSuchProcess:
        return None
