"""To continue, run the same command again: bitwise the same as never having stopped."""

import dataclasses
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from trees import assert_continues_exactly, assert_equal_runs, final_state

from support import read_lines
from viceversa import engine
from viceversa.config import Config, to_yaml
from viceversa.data import ImageError, TrainLoader
from viceversa.engine import Interrupted, trainer
from viceversa.engine.checkpoint import Checkpoints
from viceversa.engine.distributed import DistInfo
from viceversa.engine.learner import Learner
from viceversa.engine.run_dir import checkpoint_files
from viceversa.engine.validation import Validation
from viceversa.methods import METHODS


class Crash(Exception):
    """Stands for a power cut, in the middle of a step."""


def crash(learner: Learner, number: int) -> None:
    if number == 5:
        raise Crash


LOW = ["train.channels_last=true", "train.precision=bf16"]
EXACT = [
    *((method, LOW) for method in METHODS),
    ("cyclegan", ["method.pool=3"]),  # full, and in use, before the crash
    (
        "cyclegan",
        ["discriminator={name: projected, side: 32, width: 4, augment: [color, shift, cutout]}", "method.pool=3"],
    ),
    ("onesided", ["method.direction=both", "generator.skip=true", "generator.norm=standardised", "method.identity=1"]),
    ("cyclegan", ["train.optimizer=ngd"]),
    ("cyclegan", ["discriminator.norm=spectral", "discriminator.augment=[color,shift,cutout]", "objective.r1=1"]),
]


@pytest.mark.parametrize(("method", "options"), EXACT)
def test_a_crashed_run_continues_exactly(tiny: Any, method: str, options: list[str]) -> None:
    calm, crashed = (tiny(method, *options, run=name) for name in ("calm", "crashed"))
    assert_continues_exactly(calm, crashed, Crash, after=crash)
    assert [x["step"] for x in read_lines(Path(crashed.run) / "events.jsonl") if x["event"] == "continued"] == [4]
    rates = [line["lr"] for line in read_lines(Path(calm.run) / "log.jsonl")]
    assert rates[-1] < rates[0]


def test_a_signal_saves_and_stops(tiny: Any) -> None:
    def signalled(learner: Learner, number: int) -> None:
        if number == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    calm, stopped = tiny("cyclegan", run="calm"), tiny("cyclegan", "train.save_every=100 steps", run="stopped")
    assert_continues_exactly(calm, stopped, Interrupted, before=signalled)
    assert '"interrupted", "step": 3' in (Path(stopped.run) / "events.jsonl").read_text()


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def spoil_a_number(path: Path) -> None:
    """torch reads it without a word."""
    content, state = bytearray(path.read_bytes()), torch.load(path, weights_only=True)["shared"]["method"]
    content[content.index(next(iter(state.values())).numpy().tobytes()) + 1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut_off, spoil_a_number])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tiny: Any, tmp_path: Path, caplog: Any, damage: Any) -> None:
    run = engine.train(tiny("pix2pix"))
    calm = shutil.copytree(run, tmp_path / "calm")
    newest = checkpoint_files(run / "checkpoints")[0]
    damage(newest)
    engine.train(tiny("pix2pix"))
    assert newest.name in caplog.text
    assert_equal_runs(calm, run)


def test_a_damaged_checkpoint_does_not_pass_for_the_newest(tmp_path: Path) -> None:
    """A signal may ask to save before the run is as far again; that must not be deleted as the older of the two."""

    def checkpoints() -> Checkpoints:
        return Checkpoints(tmp_path, DistInfo(), keep=2, every=5)

    for step in (5, 10):
        checkpoints().save(step, {"step": step}, {})
    (tmp_path / "step-00000010.pt").write_bytes(b"")
    continued = checkpoints()
    assert continued.read(continued.steps()) == ({"step": 5}, {})
    continued.save(7, {"step": 7}, {})
    assert checkpoints().read([7, 5]) == ({"step": 7}, {})
    assert sorted(os.listdir(tmp_path)) == ["step-00000005.pt", "step-00000007.pt"]


def start(config: Config, folder: Path) -> subprocess.Popen[bytes]:
    path = folder / f"{Path(config.run).name}.yaml"
    path.write_text(to_yaml(config), "utf-8")
    return subprocess.Popen([sys.executable, "-m", "viceversa", "train", str(path)], stdout=subprocess.DEVNULL)


@pytest.mark.slow  # a minute or two: each of ten processes imports torch
def test_ten_kills_at_random_moments_change_nothing(tiny: Any, tmp_path: Path) -> None:
    options = ["train.length=400 steps", "train.decay=200 steps", "method.pool=5", "train.save_every=3 steps"]
    calm, killed = tiny("cyclegan", *options, run="calm"), tiny("cyclegan", *options, run="killed")
    engine.train(calm)
    chance = random.Random(0)
    for _ in range(10):
        process = start(dataclasses.replace(killed), tmp_path)
        deadline, newest = time.monotonic() + 400, checkpoint_files(Path(killed.run) / "checkpoints")[:1]
        while checkpoint_files(Path(killed.run) / "checkpoints")[:1] == newest and time.monotonic() < deadline:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.5))
        process.kill()
        process.wait()
    assert 0 < final_state(killed.run)["step"] < 400
    process = start(killed, tmp_path)
    assert process.wait() == 0
    assert_equal_runs(calm.run, killed.run)


def test_a_signal_saves_and_has_its_status(tiny: Any, tmp_path: Path) -> None:
    config = tiny("pix2pix", "train.length=100000 steps", "train.save_every=100000 steps")
    process = start(config, tmp_path)
    log = Path(config.run) / "log.jsonl"
    deadline = time.monotonic() + 400  # a machine may be busy
    while not log.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline, "it never began"
        time.sleep(0.05)
    process.send_signal(signal.SIGUSR1)
    assert process.wait(400) == 128 + signal.SIGUSR1
    assert final_state(config.run)["step"] >= 3


@pytest.mark.parametrize("method", METHODS)
def test_a_run_may_continue_with_activation_checkpointing(method: str, tiny: Any) -> None:
    """Which changes nothing but memory and time."""
    options = ["train.precision=bf16", "train.channels_last=true", "train.log_every=1 step"]
    options += ["train.schedule=constant", "train.decay=1 step", "data.decay_crop=true"]  # nothing hangs on the length
    plain = tiny(method, *options, "train.length=4 steps", run="plain")
    engine.train(plain)
    engine.train(tiny(method, *options, "train.length=2 steps", run="changed"))
    engine.train(tiny(method, *options, "train.length=4 steps", "train.checkpointing=true", run="changed"))
    assert_equal_runs(plain.run, tiny(method, run="changed").run)


@pytest.mark.parametrize("part", ["batches", "samples", "scores"])
def test_whatever_ends_a_training_it_is_saved_first(tiny: Any, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["train.save_every=100 steps", "train.sample_every=5 steps"]
    options += ["train.evaluate_every=5 steps", "train.metrics=cycle"] if part == "scores" else []
    calm, broken = (tiny("cyclegan", *options, run=name) for name in ("calm", "broken"))
    engine.train(calm)
    batches = TrainLoader.batches

    def ending(self: TrainLoader, *place: Any) -> Any:
        yield from islice(batches(self, *place), 5)
        raise ImageError("the disk was pulled out")

    def failing(*_: Any) -> Any:
        raise OSError("the disk was pulled out")

    with monkeypatch.context() as patch:
        if part == "batches":
            patch.setattr(TrainLoader, "batches", ending)
        elif part == "samples":
            patch.setattr(trainer, "translate_samples", lambda *given: failing() if samples.pop() else {})
            samples = [True, False]
        else:
            patch.setattr(Validation, "run", failing)
        with pytest.raises((ImageError, OSError), match="pulled out"):
            engine.train(broken)
    assert final_state(broken.run)["step"] == 5
    engine.train(broken)
    if part != "scores":  # they were not logged
        assert_equal_runs(calm.run, broken.run)
