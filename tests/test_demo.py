"""The demo, made tiny: everything lands where it says, and a killed one goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from viceversa import demo
from viceversa.config import load_config
from viceversa.data import water2wine

TINY = ["data.load=32", "data.crop=32", "generator.width=4", "generator.blocks=1", "discriminator.width=4"]
SHORT = ["data.workers=0", "train.length=2 steps", "train.decay=1 steps", "train.samples=1"]


def test_a_data_set_half_drawn_is_drawn_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(demo.PRESET, TINY)
    make = water2wine.make

    def killed(out: Path, **options: int) -> None:
        make(out, size=options["size"], seed=options["seed"], count=2, test=1)
        raise KeyboardInterrupt

    monkeypatch.setattr(water2wine, "make", killed)
    with pytest.raises(KeyboardInterrupt):
        demo.make_data(tmp_path / "data", config)
    monkeypatch.setattr(water2wine, "make", make)
    assert not (tmp_path / "data").exists()
    demo.make_data(tmp_path / "data", config)
    assert len(list((tmp_path / "data" / "testB").iterdir())) == 40


def test_the_demo_writes_its_figures_and_its_picture(tmp_path: Path) -> None:
    figures = demo.run(tmp_path, [*TINY, *SHORT])
    assert json.loads((tmp_path / "metrics.json").read_text()) == figures
    assert figures.keys() == {"AtoB", "BtoA"}
    assert figures["AtoB"].keys() == {"psnr", "psnr_input"}
    assert figures["AtoB"]["psnr_input"] == pytest.approx(figures["BtoA"]["psnr_input"])
    assert (tmp_path / "before_after_truth.png").is_file()
    assert "2 of 2 steps" in (tmp_path / "run" / "report.html").read_text("utf-8")
