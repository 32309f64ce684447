"""Every experiment runs from its script, and shows what its page says."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
STUDIES = sorted(path for path in EXPERIMENTS.glob("*.py") if "lab.study(" in path.read_text("utf-8"))


def figures(said: str) -> list[list[float]]:
    """The means in the rows of a table."""
    return [
        [float(mean) for mean in re.findall(r"\| (nan|-?[\d.]+) ±", row)] for row in said.splitlines() if " ± " in row
    ]


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
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
@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
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
