"""Runs to make pages of: one drawn in a moment, and two that were trained for two steps on the same data."""

from pathlib import Path

import pytest
from runs import make_run

from support import TINY
from viceversa import engine
from viceversa.config import load_config

SMALL = [*TINY, "data.paired_test=true", "train.length=2 steps", "train.samples=2"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run with samples, losses and events, and nothing else."""
    return make_run(tmp_path)


@pytest.fixture(scope="session")
def runs(worlds: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A CycleGAN that shows where it paints, and a CUT, which knows one direction only."""
    folder = tmp_path_factory.mktemp("runs")
    shared = [f"data.root={worlds}", *SMALL]
    two_way = load_config("cyclegan", [*shared, f"run={folder / 'two_way'}", "generator.mask=true"])
    one_way = load_config("cut", [*shared, f"run={folder / 'one_way'}", "method.layers=[input,down1,block1]"])
    return engine.train(two_way), engine.train(one_way)
