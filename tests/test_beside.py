"""What lies beside the package runs: demo, notebooks, experiments, Ray's workers, the step we measure against."""

import importlib
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import viceversa
from support import TINY
from viceversa import demo, methods
from viceversa.config import load_config
from viceversa.data import water2wine
from viceversa.engine.learner import Learner

ROOT = Path(__file__).parents[1]
EXAMPLES, BENCHMARKS, EXPERIMENTS = ROOT / "examples", ROOT / "benchmarks", ROOT / "experiments"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
STUDIES = sorted(path for path in EXPERIMENTS.glob("*.py") if "lab.study(" in path.read_text("utf-8"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
every_study = pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
sys.path.insert(0, str(BENCHMARKS))
from reference import REFERENCES, Reference  # noqa: E402
from reference_nets import UNet, UNetLevel  # noqa: E402


def test_the_demo_writes_its_figures_and_its_picture(tmp_path: Path) -> None:
    figures = demo.run(tmp_path, [*TINY, "train.length=2 steps"])
    assert json.loads((tmp_path / "metrics.json").read_text()) == figures
    assert figures.keys() == {"AtoB", "BtoA"}
    assert figures["AtoB"].keys() == {"psnr", "psnr_input"}
    assert figures["AtoB"]["psnr_input"] == pytest.approx(figures["BtoA"]["psnr_input"])
    assert (tmp_path / "before_after_truth.png").is_file()
    assert "2 of 2 steps" in (tmp_path / "run" / "report.html").read_text("utf-8")


@every_notebook
def test_a_notebook_is_its_script_without_outputs(path: Path) -> None:
    jupytext = pytest.importorskip("jupytext")
    notebook, script = jupytext.read(path), jupytext.read(path.with_suffix(".py"))
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [
        (cell.cell_type, cell.source) for cell in script.cells
    ], "run `make notebooks`"
    assert not any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.slow
@every_notebook
def test_a_notebook_runs_and_shows_pictures(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("VICEVERSA_NOTEBOOK", str(tmp_path / "here"))
    monkeypatch.setenv("VICEVERSA_STEPS", "4")
    water2wine.make(tmp_path / "here" / "data", size=64, count=6, test=2)
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute(cwd=str(tmp_path))
    (training,) = (cell for cell in notebook.cells if "viceversa.train(" in cell.source)
    shown = [output.data for output in training.outputs if "data" in output]
    assert any('value="4" max="4"' in data.get("text/html", "") for data in shown)
    assert any("image/png" in data for data in shown)
    assert "image/png" in notebook.cells[-1 if path.stem == "variational" else -3].outputs[0].data


def test_runs_and_translators_have_a_picture(tmp_path: Path) -> None:
    run = viceversa.RunDir(tmp_path / "run")
    assert run._repr_png_() is None
    run.samples.mkdir(parents=True)
    (run.samples / "latest.png").write_bytes(b"PNG")
    assert viceversa.RunDir(run)._repr_png_() == b"PNG"


def figures(said: str) -> list[list[float]]:
    """The means in the rows of a table."""
    return [
        [float(mean) for mean in re.findall(r"\| (nan|-?[\d.]+) ±", row)] for row in said.splitlines() if " ± " in row
    ]


@every_study
def test_an_experiment_trains_and_measures(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "path", [str(EXPERIMENTS), *sys.path])
    (first, *_) = runpy.run_path(str(path))["ARMS"]
    monkeypatch.setattr(sys, "argv", [str(path), "--quick", "--seeds", "1", "--out", str(tmp_path), "--arms", first])
    runpy.run_path(str(path), run_name="__main__")
    ((quality, *_),) = figures(capsys.readouterr().out)
    assert 5 < quality < 25
    assert (tmp_path / path.stem / "results.jsonl").read_text("utf-8").count("\n") == 1


@pytest.mark.slow
@every_study
def test_all_arms_of_an_experiment_train(path: Path, tmp_path: Path) -> None:
    words = [sys.executable, str(path), "--quick", "--seeds", "2"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert len(figures(done.stdout)) > 1


@pytest.mark.slow
def test_a_normalised_output_has_a_floor(tmp_path: Path) -> None:
    words = [sys.executable, str(EXPERIMENTS / "output_norm.py"), "--quick"]
    said = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    (free,), (normalised,), (shifted,) = figures(said)
    assert free < 2
    assert normalised > 20
    assert shifted > normalised


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
def test_two_ray_workers_train_and_outlive_one(worlds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason='no Ray here; pip install "viceversa[ray]"')
    (tmp_path / "dying.py").write_text(DYING)
    for folder in (EXAMPLES, tmp_path):
        monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(EXAMPLES), str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "0")  # what else runs here is none of the test's business
    example = importlib.import_module("ray_train")
    monkeypatch.setattr(example, "work", importlib.import_module("dying").work)
    ray.init(num_cpus=3, include_dashboard=False, object_store_memory=10**8)
    try:
        words = [*TINY, "train.length=4 steps", "train.save_every=2 steps", "train.report=false"]
        words += [f"data.root={worlds}", f"run={tmp_path / 'run'}"]
        example.train("cyclegan", words, storage=tmp_path / "store")
    finally:
        ray.shutdown()
    assert (tmp_path / "scar").exists()
    assert (tmp_path / "run" / "checkpoints" / "step-00000004.rank1.pt").is_file()
    assert '"event": "continued", "step": 2' in (tmp_path / "run" / "events.jsonl").read_text()


SMALL = ["generator.width=4", "discriminator.width=4", "data.crop=32", "train.precision=fp64"]
RESNET = ["generator.blocks=6", *SMALL]
CASES = {
    "cyclegan": ["method.pool=2", *RESNET],
    "pix2pix": ["generator.depth=5", "generator.dropout=0", *SMALL],
    # every position is a patch: which are drawn does not matter
    "cut": ["method.patches=1444", "method.head_width=8", *RESNET],
    "fastcut": ["method.patches=1444", "method.head_width=8", "method.flip_equivariance=false", *RESNET],
}


def in_order(net: nn.Module) -> list[Tensor]:
    """The parameters of a reference network in the order of ours."""
    if not isinstance(net, UNet):
        return list(net.parameters())
    downs, ups = list(net.down.parameters()), list(net.up.parameters())
    level = net.inner
    while isinstance(level, UNetLevel):
        downs, ups, level = [*downs, *level.down.parameters()], [*level.up.parameters(), *ups], level.inner
    return [*downs, *ups]


def pair(preset: str) -> tuple[Learner, Reference]:
    """Our learner, and the reference with its weights."""
    learner = Learner(methods.resolve(load_config(preset, CASES[preset])), steps_per_epoch=100)
    reference = REFERENCES[learner.config.method["name"]](learner.config)
    for name, net in reference.networks().items():
        net.double()
        ours = list(getattr(learner.method, name).parameters())
        theirs = in_order(net)
        assert [p.shape for p in ours] == [p.shape for p in theirs]
        for a, b in zip(ours, theirs, strict=True):
            b.data.copy_(a)
    return learner, reference


@pytest.mark.parametrize("preset", CASES)
def test_both_steps_have_the_same_losses(preset: str) -> None:
    learner, reference = pair(preset)
    # A second step depends on the first's gradients. Those of CUT's reference are wrong where torch's instance norm
    # is (docs/cut.md), so there it is of no use.
    for step in range(1 if "cut" in preset else 2):
        x, y = torch.rand(2, 1, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(step)) * 2 - 1
        wanted = reference.step(x, y)
        found = learner.train_step({"A": x, "B": y})
        assert set(found) == set(wanted)
        for name in wanted:
            assert found[name].item() == pytest.approx(wanted[name].item(), rel=1e-7 if step == 0 else 1e-3), name


@pytest.mark.parametrize(
    ("preset", "size", "plain"),
    [("fastcut", 32, ["times"]), pytest.param("pairs", 128, [], marks=pytest.mark.slow)],
)
def test_a_step_is_measured(preset: str, size: int, plain: list[str]) -> None:
    words = ["--preset", preset, "--size", str(size), "--steps", "1", "generator.width=4", "discriminator.width=4"]
    command = [sys.executable, BENCHMARKS / "step.py", *words, "--precision", "bf16", "--channels-last"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in said.splitlines()] == [f"{preset},", "step", *plain, "memory"]
