"""The queue of trainings: one at a time, in processes of their own, known from disk alone."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from viceversa.studio import trainings as module
from viceversa.studio.trainings import Trainings
from viceversa.studio.workspace import Workspace

SLEEPER = (
    "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(143)); print('begun', flush=True); time.sleep(60)"
)


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trainings]:
    """A queue whose trainings are Python programs: the words are their arguments."""
    monkeypatch.setattr(module, "COMMAND", (sys.executable,))
    queue = Trainings(Workspace(tmp_path))
    yield queue
    for child in queue.children:
        child.kill()
        child.wait(10)


def states(queue: Trainings) -> list[str]:
    return [one.state for one in queue.all()]


def until(queue: Trainings, done: Callable[[], bool]) -> None:
    for _ in range(200):
        queue.advance()
        if done():
            return
        time.sleep(0.05)
    raise AssertionError(states(queue))


def test_one_at_a_time_and_the_next_when_it_ends(queue: Trainings) -> None:
    queue.add("runs/a", ["-c", "import time; print('said'); time.sleep(1)"])
    queue.add("runs/b", ["-c", SLEEPER])
    with pytest.raises(ValueError, match="runs/b"):
        queue.add("runs/b", [])
    queue.advance()
    assert states(queue) == ["in training", "waiting"]
    until(queue, lambda: states(queue) == ["in training"])
    (other,) = queue.all()
    assert queue.last_words("runs/a") == ["said"]
    until(queue, lambda: queue.last_words("runs/b") == ["begun"])
    queue.stop(other)
    until(queue, lambda: not states(queue))
    assert queue.ending("runs/b") == ("saved", "")  # as it was asked to, though it has not said so


def test_a_training_survives_the_studio_and_can_be_stopped_by_the_next(queue: Trainings) -> None:
    queue.add("runs/a", ["-c", SLEEPER])
    queue.advance()
    (one,) = queue.all()
    process = psutil.Process(one.pid)
    assert process.pid != 0
    assert process.cwd() == str(queue.workspace.root)
    until(queue, lambda: queue.last_words("runs/a") == ["begun"])
    again = Trainings(queue.workspace)  # another studio, which is not its parent
    again.advance()
    assert states(again) == ["in training"]
    again.stop(again.all()[0])
    until(again, lambda: not states(again))


def test_a_paused_training_ends_and_keeps_its_place(queue: Trainings) -> None:
    queue.add("runs/a", ["-c", SLEEPER])
    queue.add("runs/b", ["-c", "pass"])
    for _ in range(2):  # the second time it goes on, by the same command
        until(queue, lambda: queue.last_words("runs/a") == ["begun"])
        queue.pause(queue.all()[0])
        until(queue, lambda: states(queue) == ["paused", "waiting"])
        assert queue.all()[0].process is None
        queue.workspace.log("runs/a").unlink()
        assert states(Trainings(queue.workspace)) == ["paused", "waiting"]  # after a reboot, too
        queue.resume(queue.all()[0])
        assert states(queue) == ["in training", "waiting"]
    until(queue, lambda: queue.last_words("runs/a") == ["begun"])
    queue.pause(queue.all()[0])
    queue.stop(queue.all()[0])
    until(queue, lambda: not states(queue))


@pytest.mark.parametrize(
    ("said", "how"),
    [
        ("runs/a: trained; try: viceversa translate runs/a PICTURES OUT", "done"),
        ("viceversa: runs/a: saved; the same command again continues", "saved"),
        ("runs/a: saved after step 5; the same command again continues\nviceversa: x: no space left", "failed"),
        ("Traceback (most recent call last):\nRuntimeError: oh", "failed"),
        ("step 50/100  gan_G 0.3  3.1 images/s", "killed"),
    ],
)
def test_how_a_training_ended_even_if_it_was_to_be_paused(queue: Trainings, said: str, how: str) -> None:
    queue.add("runs/a", ["-c", SLEEPER.replace("sys.exit(143)", f"print({said!r}) or sys.exit()")])
    until(queue, lambda: queue.last_words("runs/a") == ["begun"])
    queue.pause(queue.all()[0])
    until(queue, lambda: states(queue) == ([] if how in ("done", "failed") else ["paused"]))
    assert queue.ending("runs/a")[0] == how
    assert bool(queue.ending("runs/a")[1]) == (how in ("failed", "killed"))


def test_another_process_of_the_same_number_is_not_the_training(queue: Trainings) -> None:
    queue.add("runs/a", ["-c", SLEEPER])
    queue.advance()
    (one,) = queue.all()
    process = psutil.Process(one.pid)
    (file,) = queue.folder.iterdir()
    file.write_text(file.read_text().replace(str(one.born), str(one.born - 1000)))
    again = Trainings(queue.workspace)
    again.advance()
    assert states(again) == []
    assert process.is_running()
    process.kill()


def test_what_cannot_be_read_is_left_out(queue: Trainings) -> None:
    (queue.folder / "0007.json").write_text("{")
    assert queue.all() == []
    queue.add("runs/a", ["-c", SLEEPER])
    assert [one.number for one in queue.all()] == [1]
