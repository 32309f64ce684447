"""Two processes with a batch of one are one process with a batch of two."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from trees import assert_equal_runs, assert_equal_states, final_state

from support import environment, free_port
from viceversa import engine
from viceversa.config import Config, ConfigError, to_yaml
from viceversa.methods import METHODS

EXACT = ["train.precision=fp64", "train.optimizer=sgd", "train.lr=0.01", "generator.norm=instance"]


def written(config: Config) -> str:
    path = Path(f"{config.run}-{config.train.length}.yaml")
    path.write_text(to_yaml(config), "utf-8")
    return str(path)


FORKS = """
import os, sys
from viceversa import engine
from viceversa.config import load_config
port, *paths = sys.argv[1:]
for path in paths:
    for rank in "01":
        if os.fork() == 0:
            os.environ.update(RANK=rank, WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
            engine.train(load_config(path))
            os._exit(0)
    assert [os.wait()[1] for _ in range(2)] == [0, 0]
"""


def train_in_pairs(*configs: Config) -> subprocess.CompletedProcess[str]:
    """Train in two processes, one configuration after the other; torch is imported once."""
    command = [sys.executable, "-c", FORKS, str(free_port()), *map(written, configs)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, env=environment())
    assert done.returncode == 0, done.stderr
    return done


def torchrun(
    config: Config, *flags: str, processes: int = 2, preload: str = "", status: int = 0
) -> subprocess.CompletedProcess[str]:
    """Train as torchrun does; `preload` is Python that each process runs first."""
    script = Path(config.run).with_suffix(".py")
    script.write_text(f"{preload}\nfrom viceversa.cli import main\nmain()\n", "utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *flags]
    command += [f"--log-dir={script.with_suffix('')}-logs", str(script), "train", written(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, env=environment())
    assert done.returncode == status, done.stderr
    return done


def close(one: dict[str, Any], two: dict[str, Any]) -> bool:
    """Whether all numbers but those of image pools are the same up to rounding."""
    numbers = {name: x for name, x in one.items() if "pool" not in name and x.is_floating_point()}
    return all((x - two[name]).norm() <= 1e-8 * x.norm() + 1e-12 for name, x in numbers.items())


def test_two_processes_equal_a_double_batch(tiny: Any) -> None:
    """Of every method; in one test, since all pairs are forked from one process."""
    draws = {"pix2pix": ["generator.dropout=0"], "cyclegan-vae": ["method.sample=false", "train.lr=1e-4"]}
    runs = {}
    for method in METHODS:
        judged = "discriminator.augment=[]" if method == "onesided" else "discriminator.norm=instance"
        options = [*EXACT, judged, *draws.get(method, [])]
        runs[method] = [tiny(method, *options, f"train.batch={n}", run=f"{method}-{n}") for n in (2, 1)]
        engine.train(runs[method][0])
    train_in_pairs(*(pair for _, pair in runs.values()))
    for method, (double, pair) in runs.items():
        one, two = final_state(double.run), final_state(pair.run)
        assert one["method"].keys() == two["method"].keys()
        assert close(one["method"], two["method"]), method
        assert close(one["ema"], two["ema"]), method
        assert (Path(pair.run) / "checkpoints" / "step-00000008.rank1.pt").is_file()


def test_two_processes_continue_exactly(tiny: Any) -> None:
    """Each process has its own image pool and its own share of the logged means."""
    options = ["train.schedule=constant", "train.save_every=100 steps", "method.pool=2"]
    calm = tiny("cyclegan", *options, "train.length=10 steps", run="calm")
    early, late = (tiny("cyclegan", *options, f"train.length={n} steps", run="paused") for n in (7, 10))
    train_in_pairs(calm, early, late)
    for part in ("step-00000010.pt", "step-00000010.rank1.pt"):
        assert_equal_states(*(torch.load(Path(c.run) / "checkpoints" / part, weights_only=True) for c in (calm, late)))
    logs = ((Path(c.run) / "log.jsonl").read_text().splitlines() for c in (calm, late))
    assert len({log[-1] for log in logs}) == 1


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
    done = torchrun(tiny("pix2pix"), preload=broken, status=1)
    assert "viceversa: 99 of 14 pictures cannot be read" in done.stderr
    assert "viceversa: another process has ended" in done.stderr


SIGNALLED = """
import os, signal, time
from viceversa.engine.learner import Learner
train_step, again = Learner.train_step, os.environ["TORCHELASTIC_RESTART_COUNT"] == "1"
if again and os.environ["RANK"] == "0":
    time.sleep(5)  # the other one must not take the address of the one before for this one's
def signalled(self, *arguments, **more):
    if self.step == {step} and os.environ["RANK"] == "1" and not again:
        os.kill(os.getpid(), signal.{name})
    return train_step(self, *arguments, **more)
Learner.train_step = signalled
"""


@pytest.mark.slow  # two calls of torchrun
def test_torchrun_restarts_what_was_killed_exactly(tiny: Any) -> None:
    calm, killed = (tiny("cyclegan", "method.pool=2", run=name) for name in ("calm", "killed"))
    torchrun(calm)
    done = torchrun(killed, "--max-restarts=1", preload=SIGNALLED.format(step=5, name="SIGKILL"))
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
    assert close(final_state(calm.run)["method"], final_state(config.run)["method"])
    with pytest.raises(ConfigError, match=r"4 pictures of each domain a step, and would take 1 "):
        engine.train(tiny("cyclegan", *options, "train.length=8 steps", run="changed"))


def test_all_processes_take_the_newest_checkpoint_that_all_can_read(tiny: Any) -> None:
    config = tiny("cyclegan", "method.pool=2")
    train_in_pairs(config)
    calm = final_state(config.run)
    part = Path(config.run) / "checkpoints" / "step-00000008.rank1.pt"
    part.write_bytes(part.read_bytes()[:200])
    orphan = part.with_name("step-00000099.rank1.pt")
    orphan.write_bytes(b"")
    done = train_in_pairs(config)
    assert "step-00000008.pt cannot be read" in done.stderr
    assert "continues after step 6 of 8" in done.stdout
    assert not orphan.exists()
    assert all(torch.equal(value, calm["method"][name]) for name, value in final_state(config.run)["method"].items())


def test_a_request_to_stop_reaches_all_processes(tiny: Any) -> None:
    config = tiny("cyclegan", "train.save_every=100 steps", "method.pool=2", run="stopped")
    done = torchrun(config, preload=SIGNALLED.format(step=2, name="SIGUSR1"), status=1)
    assert "saved; the same command again continues" in done.stderr
    assert final_state(config.run)["step"] == 4, "it came while step 3 was under way, and travelled with step 4"
