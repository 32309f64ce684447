"""Which file goes where; and mistakes, found before torch is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from generators import images, noise, weights_of

from viceversa.data.image_io import write_image
from viceversa.translate.files import plan

NAMES = ("2.jpg", "10.jpg", "a.png", "deep/a.png", "deep/er/c.webp")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    images(tmp_path / "photos", *NAMES)
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    return tmp_path / "photos"


def planned(source: object, output: Path) -> list[str]:
    return [str(b.relative_to(output)) for _, b in plan([str(source)], output)]


def test_a_file(photos: Path, tmp_path: Path) -> None:
    a = photos / "a.png"
    assert plan([str(a)], tmp_path / "out") == [(a, tmp_path / "out" / "a.png")]
    assert plan([str(a)], tmp_path / "b.jpg") == [(a, tmp_path / "b.jpg")]
    (tmp_path / "folder.png").mkdir()
    assert plan([str(a)], tmp_path / "folder.png") == [(a, tmp_path / "folder.png" / "a.png")]
    assert len(plan([str(a), str(photos / "2.jpg")], tmp_path / "folder.png")) == 2, "what is a folder is one"


def test_a_folder_keeps_its_structure(photos: Path, tmp_path: Path) -> None:
    assert planned(photos, tmp_path / "out") == list(NAMES)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.jpg", {"2.jpg", "10.jpg"}),
        ("a*", {"a.png"}),
        ("*", {"a.png", "2.jpg", "10.jpg"}),
        ("**/*.png", {"a.png", "deep/a.png"}),
        ("d*/*.png", {"deep/a.png"}),
        ("[a-b].png", {"a.png"}),
    ],
)
def test_a_glob_is_relative_to_what_precedes_it(
    photos: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, names: set
) -> None:
    assert set(planned(photos / pattern, photos.parent / "out")) == names
    monkeypatch.chdir(photos)
    assert set(planned(pattern, Path("out"))) == names
    monkeypatch.chdir(photos.parent)
    assert set(planned(f"photos/{pattern}", Path("out"))) == names


def test_what_exists_is_no_pattern(photos: Path, tmp_path: Path) -> None:
    write_image(photos / "x[1].png", noise(20, 20, 3))
    images(tmp_path / "b[2024]", "a.png", "in[1]/c.png")
    out = tmp_path / "out"
    assert planned(photos / "x[1].png", out) == ["x[1].png"]
    assert planned(tmp_path / "b[2024]" / "*.png", out) == ["a.png"]
    assert planned(tmp_path / "b[2024]" / "**" / "*.png", out) == ["a.png", "in[1]/c.png"]


def test_earlier_outputs_below_the_input_are_no_inputs(photos: Path) -> None:
    write_image(photos / "out" / "a.png", noise(20, 24, 3))
    assert len(plan([str(photos)], photos / "out")) == 5
    assert len(plan([str(photos / "**" / "*")], photos / "out")) == 5
    assert len(plan([str(photos)], photos.parent)) == 6, "an output above the input leaves nothing out"


@pytest.mark.parametrize(
    ("source", "output", "message"),
    [
        ("nothing", "out", "there is no such file or folder"),
        ("empty", "out", "no images in it"),
        ("photos/*.gif", "out", "matches no images"),
        ("photos", "photos", "is the input itself"),
        ("photos/a.png", "photos/a.png", "is the input itself"),
        ("photos/a.png", "photos", "is the input itself"),
        ("photos", "out.png", "is the name of one image, not of 5"),
        ("photos/notes.txt", "out", "notes.txt: not an image, by its suffix"),
        ("photos", "photos/notes.txt", "notes.txt: is a file, not a folder"),
        ("photos", "photos/notes.txt/out", "notes.txt: is a file, not a folder"),
    ],
)
def test_mistakes_are_refused(photos: Path, tmp_path: Path, source: str, output: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        plan([str(tmp_path / source)], tmp_path / output)


CODE = """
import sys
from viceversa.cli import main
sys.argv = ["viceversa", "translate", *sys.argv[1:]]
try:
    main()
finally:
    print([name for name in ("torch", "numpy", "PIL") if name in sys.modules])
"""


@pytest.mark.parametrize(
    "words",
    [
        ["AtoB.safetensors", "missing.jpg", "out"],
        ["AtoB.safetensors", "photos/notes.txt", "out"],
        ["AtoB.safetensors", "photos", "out", "--seed", "3"],
        ["missing.safetensors", "photos", "out"],
        ["photos", "photos", "out"],
    ],
)
def test_cheap_mistakes_do_not_wait_for_torch(photos: Path, words: list[str]) -> None:
    weights_of(photos.parent / "AtoB.safetensors")
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words], cwd=photos.parent, capture_output=True, text=True, env={**os.environ}
    )
    assert (done.returncode, done.stdout) == (1, "[]\n")
    assert done.stderr.startswith("viceversa: ")
    assert done.stderr.count("\n") == 1
