"""Two processes with a batch of one are one process with a batch of two."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from trees import leaves

from viceversa import engine
from viceversa.config import to_yaml
from viceversa.engine import checkpoint
from viceversa.methods import METHODS

EXACT = ["train.precision=fp64", "train.optimizer=sgd", "train.lr=0.01", "generator.norm=instance"]


def torchrun(config_file: Path, processes: int = 2) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    done = subprocess.run(
        [*command, "-m", "viceversa", "train", str(config_file)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("method", METHODS)
def test_two_processes_equal_a_double_batch(tiny: Any, tmp_path: Path, method: str) -> None:
    options = [*EXACT, "discriminator.norm=instance"]
    own_draws = {"pix2pix": ["generator.dropout=0"], "cyclegan-vae": ["method.sample=false", "train.lr=1e-4"]}
    options += own_draws.get(method, [])
    double = tiny(method, *options, "train.batch=2", run="double")
    engine.train(double)
    pair = tiny(method, *options, run="pair")
    (tmp_path / "pair.yaml").write_text(to_yaml(pair), "utf-8")
    torchrun(tmp_path / "pair.yaml")
    one, two = (
        torch.load(checkpoint.found(Path(c.run) / "checkpoints")[0], weights_only=True)["shared"]
        for c in (double, pair)
    )
    for part in ("method", "average"):
        for name, value in one[part].items():
            if "pool" not in name and value.is_floating_point():
                assert (value - two[part][name]).norm() <= 1e-8 * value.norm() + 1e-12, name
    assert (Path(pair.run) / "checkpoints" / "step-00000008.rank1.pt").is_file()


def test_two_processes_continue_exactly(tiny: Any, tmp_path: Path) -> None:
    """Each process has its own image pool and its own share of the logged means."""
    runs = []
    for name, lengths in (("calm", ["10 steps"]), ("paused", ["7 steps", "10 steps"])):
        for length in lengths:
            options = [f"train.length={length}", "train.schedule=constant", "train.save_every=100 steps"]
            config = tiny("cyclegan", *options, "method.pool=2", run=name)
            (tmp_path / f"{name}.yaml").write_text(to_yaml(config), "utf-8")
            torchrun(tmp_path / f"{name}.yaml")
        runs.append(Path(config.run))
    for part in ("step-00000010.pt", "step-00000010.rank1.pt"):
        one, two = (dict(leaves(torch.load(run / "checkpoints" / part, weights_only=True))) for run in runs)
        assert one.keys() == two.keys()
        for path, value in one.items():
            assert torch.equal(value, two[path]) if isinstance(value, torch.Tensor) else value == two[path], path
    assert (runs[0] / "log.jsonl").read_text().splitlines()[-1] == (runs[1] / "log.jsonl").read_text().splitlines()[-1]


def test_another_number_of_processes_is_refused(tiny: Any, tmp_path: Path) -> None:
    config = tiny("pix2pix")
    engine.train(config)
    newest = checkpoint.found(Path(config.run) / "checkpoints")[0]
    torch.save({}, newest.with_suffix(".rank1.pt"))
    with pytest.raises(ValueError, match="2 processes, not 1"):
        engine.train(config)
