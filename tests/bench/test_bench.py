"""`viceversa bench`: that it measures, not how much."""

from __future__ import annotations

import pytest

from viceversa.bench import measure
from viceversa.bench.table import table
from viceversa.config import ConfigError, load_config

SMALL = ["data.crop=32", "data.load=32", "generator.width=4", "discriminator.width=4", "train.device=cpu"]
CASES = {
    "cyclegan": ["generator.blocks=1", *SMALL],
    "pix2pix": ["generator.depth=5", *SMALL],
    "fastcut": ["generator.blocks=5", *SMALL],
}


@pytest.mark.parametrize("preset", CASES)
def test_a_step_is_measured_with_generated_pictures(preset: str) -> None:
    facts = measure(load_config(preset, CASES[preset]), steps=2, against="eager-fp32")
    phases, groups = facts["phases"], {"backward G", "backward D"}
    assert {"data", "forward", "optimiser", "overhead"} | groups == set(phases)
    assert all(taken > 0 for taken in phases.values())
    assert facts["gflop"] > 0
    assert 0 < facts["against"]["from"] <= facts["against"]["times"] <= facts["against"]["to"]
    assert "images/s" in table(facts)


def test_what_has_no_plain_form_is_refused() -> None:
    with pytest.raises(ConfigError, match="leave it away"):
        measure(load_config("cyclegan-vae", ["train.device=cpu"]), against="eager-fp32")
