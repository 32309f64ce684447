"""How long a training would take: of the configuration's own steps, and refused where training is."""

from __future__ import annotations

from pathlib import Path

import pytest

from viceversa.config import ConfigError, load_config
from viceversa.data import water2wine
from viceversa.estimate import Estimate, estimate

TINY = ["generator.width=2", "generator.blocks=1", "discriminator.width=2", "discriminator.layers=2"]
TINY += ["data.load=18", "data.crop=16", "data.workers=0", "train.length=3 epochs", "train.decay=1 epochs"]


def test_a_few_steps_tell_the_length(tmp_path: Path) -> None:
    water2wine.make(tmp_path, size=16, count=5, test=1)
    found = estimate(load_config("cyclegan", [*TINY, f"data.root={tmp_path}"]))
    assert (found.method, found.steps_per_epoch, found.steps) == ("cyclegan", 5, 15)
    assert 0 < found.seconds < 60
    assert not (tmp_path / "runs").exists()


def test_what_training_refuses_is_refused(tmp_path: Path) -> None:
    water2wine.make(tmp_path, size=16, count=2, test=1)
    with pytest.raises(ConfigError):
        estimate(load_config("pix2pix", [f"data.root={tmp_path}", "data.load=256"]))


def test_the_sentence_has_sensible_units() -> None:
    said = str(Estimate("cyclegan", "cpu", 0.5, 1334, 266800))
    assert "0.50 s a step" in said
    assert "an epoch of 1334 steps takes 11 minutes, all 266800 steps 37 hours" in said
