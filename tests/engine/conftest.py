"""Tiny runs of every registered method."""

from collections.abc import Callable
from pathlib import Path

import pytest

from viceversa.config import Config, load_config
from viceversa.methods import METHODS

SMALL = {
    "resnet": ["generator.width=4", "generator.blocks=1"],
    "unet": ["generator.width=2", "generator.depth=5"],
    "resnet_vae": ["generator.width=4", "generator.blocks=2", "generator.latent=4"],
    "onesided": ["discriminator.side=32"],
    "cut": ["method.layers=[input,down1,block1]"],
}
LENGTH = ["train.length=8 steps", "train.decay=4 steps", "train.log_every=3 steps", "train.save_every=2 steps"]

MakeConfig = Callable[..., Config]


@pytest.fixture
def tiny(worlds: Path, tmp_path: Path) -> MakeConfig:
    """Return a configuration of eight steps: `tiny("cyclegan", "seed=1", run="a")`."""

    def make(method: str, *overrides: str, run: str = "run") -> Config:
        pairs = [f"data.a={worlds / 'testA'}", f"data.b={worlds / 'testB'}", "data.layout=paired"]
        data = pairs if METHODS[method].needs_pairs else [f"data.root={worlds}"]
        preset = {"onesided": "style"}.get(method, method)
        generator = load_config(preset).generator["name"]
        small = [*SMALL[generator], *SMALL.get(method, [])]
        sizes = [*small, "discriminator.width=4", "discriminator.layers=2", "data.load=36", "data.crop=32"]
        fast = ["train.device=cpu", "data.workers=0", "train.report=false", "train.samples=1", f"run={tmp_path / run}"]
        return load_config(preset, [*data, *sizes, *fast, *LENGTH, *overrides])

    return make
