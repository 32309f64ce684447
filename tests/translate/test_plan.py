"""Which file goes where; and mistakes, found before torch is imported."""

from pathlib import Path

import pytest
from generators import images, weights_of

from support import noise, refusals
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


def test_a_file_and_a_folder_which_keeps_its_structure(photos: Path, tmp_path: Path) -> None:
    a = photos / "a.png"
    assert plan([str(a)], tmp_path / "out") == [(a, tmp_path / "out" / "a.png")]
    assert plan([str(a)], tmp_path / "b.jpg") == [(a, tmp_path / "b.jpg")]
    (tmp_path / "folder.png").mkdir()
    assert plan([str(a)], tmp_path / "folder.png") == [(a, tmp_path / "folder.png" / "a.png")]
    assert len(plan([str(a), str(photos / "2.jpg")], tmp_path / "folder.png")) == 2, "what is a folder is one"
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


MISTAKES = {
    "missing.safetensors photos out": "no such run or weights file",
    "photos photos out": "not a run, it has no config.yaml",
    "run photos out --best --no-ema": "not both",
    "run photos out --direction BtoA": "translates AtoB, not BtoA",
    "run nothing.jpg out": "there is no such file or folder",
    "run empty out": "no images in it",
    "run photos/*.gif out": "matches no images",
    "run photos photos": "is the input itself",
    "run photos/a.png photos/a.png": "is the input itself",
    "run photos/a.png photos": "is the input itself",
    "run photos out.png": "is the name of one image, not of 5",
    "run photos/a.png photos/2.jpg out.png": "is the name of one image, not of 2",
    "run photos/a.png photos/deep/a.png out": "a.png: would be written for several",
    "run twins out --format jpg": "a.jpg: would be written for several",
    "run photos/a.png out.png --format jpg": "names the format already",
    "run photos/a.png out.heic": "HEIC is read, but not written",
    "run photos out --format xyz": "cannot be written; use one of",
    "run photos/notes.txt out": "notes.txt: not an image, by its suffix",
    "run photos photos/notes.txt/out": "notes.txt: is a file, not a folder",
    "run photos out --manifest empty": "is a folder",
    "run photos out --mask none.png": "there is no such mask",
    "run photos out --seed 3": "--seed goes with --samples",
    "run twins out --samples 2 --format jpg": "a.1.png: would be written for several",
    "run photos out --samples 2 --backend bf16": "need the backend eager",
    "run photos out --interpolate photos/a.png": "interpolation starts from one image, not from 5",
    "run photos/2.jpg out --interpolate none.png": "there is no such image",
    "run photos/2.jpg out --interpolate photos/a.png --samples 1": "two ends",
}


def test_mistakes_do_not_wait_for_torch(photos: Path) -> None:
    folder = photos.parent
    images(folder / "twins", "a.jpg", "a.png")
    (folder / "empty").mkdir()
    weights_of(folder / "run" / "weights" / "AtoB.safetensors")
    found = refusals([f"translate {words}" for words in MISTAKES], folder)
    for (words, message), (status, line) in zip(MISTAKES.items(), found, strict=True):
        assert status == 1, words
        assert message in line, words
    assert not (folder / "out").exists()
