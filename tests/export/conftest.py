"""A run to export: two directions, trained for one step."""

from pathlib import Path

import pytest

from support import TINY
from viceversa import engine
from viceversa.config import load_config
from viceversa.data import water2wine

SMALL = [*TINY, "train.length=1 step", "train.samples=2", "init.gain=0.1"]  # or translations would be gray


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    water2wine.make(folder / "data", size=32, count=8, test=4)
    return engine.train(load_config("cyclegan", [*SMALL, f"data.root={folder / 'data'}", f"run={folder / 'run'}"]))
