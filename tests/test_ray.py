"""Ray's workers train as torchrun's do."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from viceversa.data import water2wine

SMALL = ["data.load=36", "data.crop=32", "generator.width=4", "generator.blocks=1", "discriminator.width=4"]
SHORT = ["train.length=4 steps", "train.decay=0 steps", "train.device=cpu", "train.report=false", "data.workers=0"]


@pytest.mark.slow  # a minute: Ray starts a cluster
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_two_ray_workers_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason='no Ray here; pip install "viceversa[ray]"')
    examples = Path(__file__).parents[1] / "examples"
    monkeypatch.syspath_prepend(str(examples))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    water2wine.make(tmp_path / "data", size=32, count=4, test=2)
    ray.init(num_cpus=3, include_dashboard=False)
    try:
        words = [*SMALL, *SHORT, f"data.root={tmp_path / 'data'}", f"run={tmp_path / 'run'}"]
        importlib.import_module("ray_train").train("cyclegan", words, storage=tmp_path / "store")
    finally:
        ray.shutdown()
    assert (tmp_path / "run" / "checkpoints" / "step-00000004.rank1.pt").is_file()
