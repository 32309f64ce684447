"""The demo, made tiny: everything lands where it says."""

import json
from pathlib import Path

import pytest

from support import TINY
from viceversa import demo


def test_the_demo_writes_its_figures_and_its_picture(tmp_path: Path) -> None:
    figures = demo.run(tmp_path, [*TINY, "train.length=2 steps"])
    assert json.loads((tmp_path / "metrics.json").read_text()) == figures
    assert figures.keys() == {"AtoB", "BtoA"}
    assert figures["AtoB"].keys() == {"psnr", "psnr_input"}
    assert figures["AtoB"]["psnr_input"] == pytest.approx(figures["BtoA"]["psnr_input"])
    assert (tmp_path / "before_after_truth.png").is_file()
    assert "2 of 2 steps" in (tmp_path / "run" / "report.html").read_text("utf-8")
