"""Two processes with a batch of one are one process with a batch of two."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from trees import assert_equal_runs, final_state, leaves

from support import environment
from viceversa import engine
from viceversa.config import Config, ConfigError, to_yaml
from viceversa.engine.run_dir import checkpoint_files
from viceversa.methods import METHODS

EXACT = ["train.precision=fp64", "train.optimizer=sgd", "train.lr=0.01", "generator.norm=instance"]


def launch(config: Config, *flags: str, processes: int = 2, preload: str = "") -> subprocess.CompletedProcess[str]:
    """Train in several processes; `preload` is Python that each runs first."""
    folder = Path(config.run).parent
    path = folder / f"{Path(config.run).name}.yaml"
    path.write_text(to_yaml(config), "utf-8")
    script = folder / "script.py"
    script.write_text(f"{preload}\nfrom viceversa.cli import main\nmain()\n", "utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *flags]
    return subprocess.run(
        [*command, str(script), "train", str(path)], capture_output=True, text=True, timeout=400, env=environment()
    )


def torchrun(config: Config, processes: int = 2) -> None:
    done = launch(config, processes=processes)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("method", METHODS)
def test_two_processes_equal_a_double_batch(tiny: Any, method: str) -> None:
    judged = "discriminator.augment=[]" if method == "onesided" else "discriminator.norm=instance"
    own_draws = {"pix2pix": ["generator.dropout=0"], "cyclegan-vae": ["method.sample=false", "train.lr=1e-4"]}
    options = [*EXACT, judged, *own_draws.get(method, [])]
    double = tiny(method, *options, "train.batch=2", run="double")
    engine.train(double)
    pair = tiny(method, *options, "train.batch=1", run="pair")
    torchrun(pair)
    one, two = (
        torch.load(checkpoint_files(Path(c.run) / "checkpoints")[0], weights_only=True)["shared"]
        for c in (double, pair)
    )
    for part in ("method", "ema"):
        for name, value in one[part].items():
            if "pool" not in name and value.is_floating_point():
                assert (value - two[part][name]).norm() <= 1e-8 * value.norm() + 1e-12, name
    assert (Path(pair.run) / "checkpoints" / "step-00000008.rank1.pt").is_file()


def test_two_processes_continue_exactly(tiny: Any) -> None:
    """Each process has its own image pool and its own share of the logged means."""
    runs = []
    for name, lengths in (("calm", ["10 steps"]), ("paused", ["7 steps", "10 steps"])):
        for length in lengths:
            options = [f"train.length={length}", "train.schedule=constant", "train.save_every=100 steps"]
            config = tiny("cyclegan", *options, "method.pool=2", run=name)
            torchrun(config)
        runs.append(Path(config.run))
    for part in ("step-00000010.pt", "step-00000010.rank1.pt"):
        one, two = (dict(leaves(torch.load(run / "checkpoints" / part, weights_only=True))) for run in runs)
        assert one.keys() == two.keys()
        for path, value in one.items():
            assert torch.equal(value, two[path]) if isinstance(value, torch.Tensor) else value == two[path], path
    assert (runs[0] / "log.jsonl").read_text().splitlines()[-1] == (runs[1] / "log.jsonl").read_text().splitlines()[-1]


def test_an_error_in_one_process_ends_all(tiny: Any) -> None:
    broken = """
import os
from viceversa.data import TrainLoader
batches = TrainLoader.batches
def breaking(self, *place):
    for number, batch in enumerate(batches(self, *place)):
        if number == 2 and os.environ["RANK"] == "1":
            self._sound((batch, {f"{n}.png": "the dog ate it" for n in range(99)}))
        yield batch
TrainLoader.batches = breaking
"""
    done = launch(tiny("pix2pix"), preload=broken)
    assert done.returncode == 1
    assert "viceversa: 99 of 14 pictures cannot be read" in done.stderr
    assert "viceversa: another process has ended" in done.stderr


KILL = """
import os, signal, time
if os.environ["TORCHELASTIC_RESTART_COUNT"] == "1" and os.environ["RANK"] == "0":
    time.sleep(5)  # the other one must not take the address of the one before for this one's
from viceversa.engine.learner import Learner
train_step = Learner.train_step
def dying(self, *arguments, **more):
    if self.step == 5 and os.environ["RANK"] == "1" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        os.kill(os.getpid(), signal.SIGKILL)
    return train_step(self, *arguments, **more)
Learner.train_step = dying
"""


@pytest.mark.slow  # two calls of torchrun
def test_torchrun_restarts_what_was_killed_exactly(tiny: Any) -> None:
    calm, killed = (tiny("cyclegan", "method.pool=2", run=name) for name in ("calm", "killed"))
    torchrun(calm)
    done = launch(killed, "--max-restarts=1", preload=KILL)
    assert done.returncode == 0, done.stderr
    assert "continues after step 4 of 8" in done.stdout
    assert_equal_runs(calm.run, killed.run)


@pytest.mark.slow  # four processes, then two, then one
def test_another_number_of_processes_goes_on_with_the_same_pictures(tiny: Any) -> None:
    """Four, then two, then one process; without pools, chance and batch norm it is the same up to rounding."""
    options = [*EXACT, "discriminator.norm=instance", "method.pool=0", "train.save_every=1 step"]
    options += ["train.schedule=constant", "train.decay=0 steps"]
    calm = tiny("cyclegan", *options, "train.batch=4", "train.length=6 steps", run="calm")
    engine.train(calm)
    for batch, length in ((1, 2), (2, 4), (4, 6)):
        config = tiny("cyclegan", *options, f"train.batch={batch}", f"train.length={length} steps", run="changed")
        torchrun(config, processes=4 // batch) if batch < 4 else engine.train(config)
    one, two = final_state(calm.run), final_state(config.run)
    for name, value in one["method"].items():
        if value.is_floating_point():
            assert (value - two["method"][name]).norm() <= 1e-8 * value.norm() + 1e-12, name
    with pytest.raises(ConfigError, match=r"4 pictures of each domain a step, and would take 1 "):
        engine.train(tiny("cyclegan", *options, "train.length=8 steps", run="changed"))


def test_all_processes_take_the_newest_checkpoint_that_all_can_read(tiny: Any) -> None:
    config = tiny("cyclegan", "method.pool=2")
    torchrun(config)
    calm = final_state(config.run)
    part = Path(config.run) / "checkpoints" / "step-00000008.rank1.pt"
    part.write_bytes(part.read_bytes()[:200])
    orphan = part.with_name("step-00000099.rank1.pt")
    orphan.write_bytes(b"")
    done = launch(config)
    assert done.returncode == 0, done.stderr
    assert "step-00000008.pt cannot be read" in done.stderr
    assert "continues after step 6 of 8" in done.stdout
    assert not orphan.exists()
    assert all(torch.equal(value, calm["method"][name]) for name, value in final_state(config.run)["method"].items())


def test_a_request_to_stop_reaches_all_processes(tiny: Any) -> None:
    asked = """
import os, signal
from viceversa.engine.learner import Learner
train_step = Learner.train_step
def asking(self, *arguments, **more):
    if self.step == 2 and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGUSR1)
    return train_step(self, *arguments, **more)
Learner.train_step = asking
"""
    config = tiny("cyclegan", "train.save_every=100 steps", "method.pool=2", run="stopped")
    done = launch(config, preload=asked)
    assert "saved; the same command again continues" in done.stderr
    state = final_state(config.run)
    assert state["step"] == 4, "the signal came while step 3 was under way, and travelled with the gradients of step 4"
