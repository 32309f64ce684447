"""The notebooks: scripts with cells, the files that hosted notebooks open, and what a cell shows while it trains."""

from pathlib import Path

import pytest

import viceversa
from viceversa.data import water2wine

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_its_script_without_outputs(path: Path) -> None:
    jupytext = pytest.importorskip("jupytext")
    notebook, script = jupytext.read(path), jupytext.read(path.with_suffix(".py"))
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [
        (cell.cell_type, cell.source) for cell in script.cells
    ], "run `make notebooks`"
    assert not any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
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
