"""`viceversa bench`: that it measures, not how much."""

from __future__ import annotations

from pathlib import Path

import pytest

from viceversa import bench, methods
from viceversa.bench import measure
from viceversa.bench.table import table
from viceversa.config import ConfigError, load_config, presets

SMALL = ["data.crop=32", "data.load=32", "generator.width=4", "discriminator.width=4", "train.device=cpu"]
PAGE = (Path(__file__).parents[2] / "docs" / "performance.md").read_text("utf-8")
KEYS = [
    *("torch", "device", "threads", "precision", "crop", "batch", "images_per_second", "seconds", "phases", "gflop"),
    *("gflop_per_second", "peaks", "fraction_of_peak", "memory_mib", "start_up", "against"),
]
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


@pytest.mark.parametrize("preset", presets())
def test_every_preset_can_be_measured(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "start_up", dict)  # the same for all of them
    monkeypatch.setattr(
        bench, "measure_peaks", lambda device: {kind: {"matmul": 1, "conv": 1} for kind in ("fp32", "bf16")}
    )
    whole = methods.resolve(load_config(preset))
    sizes = {"depth": 5, "blocks": 5 if whole.method["name"] == "cut" else 2, "latent": 4}
    words = [f"generator.{key}={value}" for key, value in sizes.items() if key in whole.generator]
    facts = measure(load_config(preset, [*words, *SMALL, f"train.batch={min(2, whole.train.batch)}"]), steps=1)
    phases, step = facts["phases"], facts["seconds"]["step"]
    assert sum(phases.values()) - phases["data"] == pytest.approx(step, rel=0.05)
    assert facts.keys() == set(KEYS)
    assert all(f"`{key}`" in PAGE for key in KEYS), "docs/performance.md explains every key"
