"""Ray's workers train as torchrun's do, and go on where they were when one is lost."""

import importlib
import os
from pathlib import Path

import pytest

from support import TINY
from viceversa.data import water2wine

EXAMPLES = Path(__file__).parents[1] / "examples"
DYING = """
import os, signal
from pathlib import Path
import ray_train
from viceversa.engine.learner import Learner

def work(settings):
    train_step, scar = Learner.train_step, Path(__file__).with_name("scar")

    def dying(self, *arguments, **more):
        if self.step == 3 and self.dist.rank == 1 and not scar.exists():
            scar.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return train_step(self, *arguments, **more)

    Learner.train_step = dying
    ray_train.work(settings)
"""


@pytest.mark.slow  # a minute: Ray starts a cluster
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_two_ray_workers_train_and_outlive_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason='no Ray here; pip install "viceversa[ray]"')
    (tmp_path / "dying.py").write_text(DYING)
    for folder in (EXAMPLES, tmp_path):
        monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(EXAMPLES), str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "0")  # what else runs here is none of the test's business
    water2wine.make(tmp_path / "data", size=32, count=4, test=2)
    example = importlib.import_module("ray_train")
    monkeypatch.setattr(example, "work", importlib.import_module("dying").work)
    ray.init(num_cpus=3, include_dashboard=False, object_store_memory=10**8)
    try:
        words = [*TINY, "train.length=4 steps", "train.save_every=2 steps", "train.report=false"]
        words += [f"data.root={tmp_path / 'data'}", f"run={tmp_path / 'run'}"]
        example.train("cyclegan", words, storage=tmp_path / "store")
    finally:
        ray.shutdown()
    assert (tmp_path / "scar").exists()
    assert (tmp_path / "run" / "checkpoints" / "step-00000004.rank1.pt").is_file()
    assert '"event": "continued", "step": 2' in (tmp_path / "run" / "events.jsonl").read_text()
