"""Long and rough trainings: whatever strikes, the result is the calm run's, and nothing grows without end."""

import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from support import environment, free_port
from viceversa import engine
from viceversa.config import to_yaml
from viceversa.engine.learner import Learner

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "chaos.py"


@pytest.mark.slow  # some minutes: every fault is followed by a new process
def test_a_run_that_is_struck_again_and_again_equals_its_calm_twin(tmp_path: Path) -> None:
    words = [sys.executable, str(SCRIPT), "--faults", "6", "--seed", "1", "--folder", str(tmp_path / "chaos")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=900, env=environment())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 faults" in done.stdout
    assert "bitwise equal to the calm runs" in done.stdout


@pytest.mark.slow  # two torchruns
def test_two_nodes_meet_on_a_rendezvous(tiny: Any, tmp_path: Path) -> None:
    config = tiny("cyclegan", "train.length=4 steps", "train.decay=0 steps")
    (tmp_path / "a.yaml").write_text(to_yaml(config), "utf-8")
    meeting = ["--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{free_port()}"]
    command = [sys.executable, "-m", "torch.distributed.run", *meeting, "--rdzv-id=1", "--local-addr=127.0.0.1"]
    command += [f"--log-dir={tmp_path / 'logs'}"]
    command += ["-m", "viceversa", "train", str(tmp_path / "a.yaml")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "env": environment()}
    nodes = [subprocess.Popen(command, **pipes) for _ in range(2)]
    said = [node.communicate(timeout=800)[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], said
    assert (Path(config.run) / "checkpoints" / "step-00000004.rank1.pt").is_file()


@pytest.mark.slow  # 5,000 steps, some minutes
def test_memory_and_open_files_stay_flat(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[int, tuple[int, int, int]] = {}
    train_step = Learner.train_step

    def watched(self: Learner, *arguments: Any, **more: Any) -> Any:
        losses = train_step(self, *arguments, **more)
        if self.step % 1000 == 0:
            gc.collect()
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            tensors = sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())
            seen[self.step] = pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd")), tensors
        return losses

    monkeypatch.setattr(Learner, "train_step", watched)
    every = [f"train.{name}_every=50 steps" for name in ("log", "save", "sample")]
    length = ["train.length=5000 steps", "train.decay=2500 steps", *every, "train.report=false"]
    config = tiny("cyclegan", *length, "data.load=16", "data.crop=16", "method.pool=5", "discriminator.layers=1")
    engine.train(config)
    memory, files, tensors = zip(*(seen[step] for step in (1000, 5000)), strict=True)
    assert memory[1] < memory[0] + 20e6, seen
    assert files[1] <= files[0], seen
    assert tensors[1] <= tensors[0] + 10, seen
    assert len(os.listdir(Path(config.run) / "checkpoints")) == 3
    assert len(os.listdir(Path(config.run) / "samples")) <= 200
