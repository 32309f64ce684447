"""The demo, made tiny: everything lands where it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from viceversa import demo

TINY = ["data.load=32", "data.crop=32", "generator.width=4", "generator.blocks=1", "discriminator.width=4"]
SHORT = ["data.workers=0", "train.length=2 steps", "train.decay=1 steps", "train.samples=1"]


def test_the_demo_writes_its_figures_and_its_picture(tmp_path: Path) -> None:
    figures = demo.run(tmp_path, [*TINY, *SHORT])
    assert json.loads((tmp_path / "metrics.json").read_text()) == figures
    assert figures.keys() == {"AtoB", "BtoA"}
    assert figures["AtoB"].keys() == {"psnr", "psnr_input"}
    assert figures["AtoB"]["psnr_input"] == pytest.approx(figures["BtoA"]["psnr_input"])
    assert (tmp_path / "before_after_truth.png").is_file()
    assert "2 of 2 steps" in (tmp_path / "run" / "report.html").read_text("utf-8")
