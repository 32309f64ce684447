"""The studio's workspace: nothing outside it is read, listed or written."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from viceversa.config import load_config
from viceversa.engine.run_dir import RunDir
from viceversa.files import in_training
from viceversa.studio.workspace import OutsideError, Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    root = tmp_path / "work"
    for name in ("photos/a.png", "runs/one/config.yaml", "runs/one/weights/AtoB.safetensors", "net.onnx", ".key.png"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key.png").write_bytes(b"secret")
    (root / "photos" / "out").symlink_to(tmp_path / "secret")
    (root / "photos" / "key.png").symlink_to(tmp_path / "secret" / "key.png")
    return Workspace(root)


OUTSIDE = ["..", "../secret/key.png", "/etc/passwd", "photos/../../secret", "photos/out", "photos/out/key.png", "a\0b"]


@pytest.mark.parametrize("name", [*OUTSIDE, "photos/key.png"])
def test_no_path_leads_out(workspace: Workspace, name: str) -> None:
    with pytest.raises(OutsideError):
        workspace.path(name)
    with pytest.raises(OutsideError):
        workspace.served(name)


def test_the_browser_sees_pictures_and_results(workspace: Workspace) -> None:
    assert workspace.served("photos/a.png").name == "a.png"
    result = workspace.fresh("results") / "b.png"
    result.write_bytes(b"")
    assert workspace.served(workspace.name(result)) == result


def test_links_that_lead_out_are_found_and_not_listed(workspace: Workspace) -> None:
    with pytest.raises(OutsideError, match="photos/"):
        workspace.readable("photos")
    assert workspace.readable("runs").is_dir()
    assert workspace.folders() == ["photos", "runs"]
    assert workspace.models() == ["runs/one", "net.onnx"]
    assert workspace.directions("runs/one") == ["AtoB"]


@pytest.mark.parametrize(
    "word",
    ["data.root=../secret", "data.a=/etc", "data.manifest=~/x.csv", "data.root=hf://a/b", "run=../x", "init.AtoB=/x"],
)
def test_a_configuration_stays_inside(workspace: Workspace, word: str) -> None:
    words = [word, "data.b=photos"] if word.startswith("data.a") else [word]
    with pytest.raises(OutsideError):
        workspace.confined(load_config("style", words))


def test_uploads_are_deleted_after_a_day(workspace: Workspace) -> None:
    old, new = workspace.fresh("uploads"), workspace.fresh("uploads")
    os.utime(old, (time.time() - 90_000,) * 2)
    workspace.sweep()
    assert not old.exists()
    assert new.exists()


def test_a_run_that_is_trained_elsewhere_stays_where_it_is(workspace: Workspace) -> None:
    path = workspace.path("runs/one")
    assert not in_training(path)
    with RunDir(path).locked():
        assert in_training(path)
        for move in (lambda: workspace.rename("runs/one", "two"), lambda: workspace.delete("runs/one")):
            with pytest.raises(ValueError, match="in training"):
                move()
    assert workspace.delete("runs/one").startswith("trash/one")


def test_runs_are_renamed_deleted_into_the_trash_and_restored(workspace: Workspace) -> None:
    assert workspace.rename("runs/one", "two") == "runs/two"
    for name in ("", "..", "a/b", ".hidden", "a#b", "--fork"):
        with pytest.raises(ValueError, match="name"):
            workspace.rename("runs/two", name)
    gone = workspace.delete("runs/two")
    assert workspace.runs() == []
    assert workspace.trashed() == [gone]
    assert workspace.restore(gone) == "runs/two"
    assert workspace.runs() == ["runs/two"]
