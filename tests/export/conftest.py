"""A run to export: two directions, trained for one step."""

from __future__ import annotations

from pathlib import Path

import pytest

from viceversa import engine
from viceversa.config import load_config
from viceversa.data import water2wine

SMALL = [
    *("generator.width=4", "generator.blocks=1", "discriminator.width=4", "discriminator.layers=2", "data.load=32"),
    *("data.crop=32", "data.workers=0", "train.length=1 steps", "train.decay=0 steps", "train.device=cpu"),
    *("train.samples=2", "init.gain=0.1"),  # large enough that translations are not gray
]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    water2wine.make(folder / "data", size=32, count=8, test=4)
    return engine.train(load_config("cyclegan", [*SMALL, f"data.root={folder / 'data'}", f"run={folder / 'run'}"]))
