"""Whatever happens while files are written: there is always a whole checkpoint, and the run continues exactly."""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from trees import assert_equal_runs

from viceversa import engine
from viceversa.engine import checkpoint as writing
from viceversa.engine import distributed
from viceversa.engine.checkpoint import Checkpoints
from viceversa.engine.distributed import DistInfo
from viceversa.engine.learner import Learner
from viceversa.engine.run_dir import checkpoint_files, checkpoint_step
from viceversa.files import sweep


class Killed(BaseException):
    """Stands for SIGKILL: no handler runs, nothing is tidied up."""


class Disk:
    """Counts writes, flushes, renames and deletions; from number `fatal` on they fail, as `failure` says.

    A kill leaves half of what is being written; afterwards a dead process does nothing more. A full disk can still
    delete.
    """

    def __init__(self, patch: pytest.MonkeyPatch, fatal: int, failure: type[BaseException] = Killed) -> None:
        self.fatal, self.failure, self.done = fatal, failure, 0
        for name in ("replace", "fsync", "unlink"):
            patch.setattr(os, name, self.counted(getattr(os, name), deletes=name == "unlink"))
        opened = Path.open

        def open_(path: Path, mode: str = "r", *args: Any, **more: Any) -> Any:
            file = opened(path, mode, *args, **more)
            return _File(file, self) if set(mode) & set("wa") else file

        patch.setattr(Path, "open", open_)

    def counted(self, function: Callable[..., Any], deletes: bool) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            if not (deletes and self.failure is OSError):
                self.count()
            return function(*args, **more)

        return call

    def count(self) -> None:
        self.done += 1
        if self.done >= self.fatal:
            raise self.failure(*([errno.ENOSPC, os.strerror(errno.ENOSPC)] if self.failure is OSError else []))


class _File:
    def __init__(self, file: Any, disk: Disk) -> None:
        self.file, self.disk = file, disk

    def write(self, data: Any) -> int:
        try:
            self.disk.count()
        except BaseException:
            self.file.write(data[: len(data) // 2])
            raise
        return int(self.file.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> "_File":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


def states(step: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"step": step, "weights": torch.full((50,), float(step))}, {"pools": {}, "step": step}


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes that never talk, one after the other."""
    monkeypatch.setattr(distributed, "barrier", lambda dist: None)
    monkeypatch.setattr(distributed, "all_gather", lambda value, dist: [value])


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("keep", [1, 2])
@pytest.mark.usefixtures("pair")
def test_killed_at_any_write_there_is_a_whole_checkpoint(tmp_path: Path, processes: int, keep: int) -> None:
    def ranks(folder: Path) -> list[Checkpoints]:
        everyone = [DistInfo(rank, processes) for rank in reversed(range(processes))]
        return [Checkpoints(folder, dist, keep=keep, every=1) for dist in everyone]

    before = tmp_path / "before"
    for step in (1, 2):
        for rank in ranks(before):
            rank.save(step, *states(step))
    ends = set()
    for fatal in count(1):
        folder = tmp_path / str(fatal)
        shutil.copytree(before, folder)
        with pytest.MonkeyPatch.context() as patch:
            disk = Disk(patch, fatal)
            try:
                for rank in ranks(folder):
                    rank.save(3, *states(3))
            except Killed:
                pass
        sweep(folder)
        found = [rank.read(rank.steps()) for rank in ranks(folder)]
        steps = {part["step"] for state in found if state for part in state}
        assert len(steps) == 1, f"processes disagree after {fatal} operations"
        assert all(state and state[0]["weights"].eq(state[0]["step"]).all() for state in found)
        ends |= steps
        for rank in ranks(folder):
            rank.save(4, *states(4))
        assert len(list(folder.iterdir())) == processes * len(checkpoint_files(folder)), "orphans"
        if disk.done < fatal:
            break
    assert ends == {2, 3}
    assert fatal > 8


def dying(patch: pytest.MonkeyPatch, config: Any, fatal: int, failure: type[BaseException]) -> int:
    """Train on a disk that fails; return how many operations there were."""
    disk = Disk(patch, fatal, failure)
    with contextlib.suppress(failure):
        engine.train(config)
    return disk.done


@pytest.mark.parametrize("failure", [Killed, OSError])
def test_a_run_killed_at_any_write_continues_exactly(tiny: Any, failure: type[BaseException]) -> None:
    length = ["train.length=4 steps", "train.decay=0 steps", "train.log_every=1 step"]
    calm = tiny("pix2pix", *length, run="calm")
    with pytest.MonkeyPatch.context() as patch:
        total = dying(patch, calm, 10**9, failure)
    assert total > 100
    for fatal in range(2, total, total // 9):
        config = tiny("pix2pix", *length, run=f"{fatal}")
        with pytest.MonkeyPatch.context() as patch:
            dying(patch, config, fatal, failure)
        engine.train(config)
        assert_equal_runs(calm.run, config.run)


@pytest.mark.usefixtures("pair")
def test_on_a_full_disk_older_checkpoints_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Checkpoints(tmp_path, DistInfo(), keep=3, every=1)
    for step in (1, 2, 3):
        kept.save(step, *states(step))
    write = writing._write

    def cramped(path: Path, state: Any) -> None:
        if len(checkpoint_files(tmp_path)) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(path, state)

    monkeypatch.setattr(writing, "_write", cramped)
    kept.save(4, *states(4))
    assert [checkpoint_step(path) for path in checkpoint_files(tmp_path)] == [4, 3]


def test_the_first_checkpoint_is_written_before_the_first_step(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is too small says so at once."""

    def full(path: Path, state: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(writing, "_write", full)
    monkeypatch.setattr(Learner, "train_step", lambda *_: pytest.fail("it began to train"))
    with pytest.raises(OSError, match="No space left"):
        engine.train(tiny("pix2pix"))
