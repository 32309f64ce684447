"""What is kept of the input."""

import json
from pathlib import Path

import numpy as np
from generators import go, images
from hypothesis import given
from hypothesis import strategies as st

from support import noise
from viceversa.data.image_data import ImageData, luminance
from viceversa.data.image_io import read_image, write_image
from viceversa.translate.images import blend, read_mask

ONE, OTHER = ImageData(noise(20, 30, 3)), ImageData(noise(20, 30, 3, seed=1))


# --- arithmetic


@given(st.floats(0, 1))
def test_strength_goes_from_the_input_to_its_translation(strength: float) -> None:
    expected = ONE.pixels + strength * (OTHER.pixels.astype(float) - ONE.pixels)
    assert np.abs(blend(ONE, OTHER, strength).pixels - expected).max() <= 0.51
    assert (blend(ONE, OTHER, 0.0).pixels == ONE.pixels).all()
    assert (blend(ONE, OTHER, 1.0).pixels == OTHER.pixels).all()


def test_depth_and_channels_are_those_of_the_translation() -> None:
    deep = ImageData(np.random.default_rng(0).random((20, 30, 1), np.float32), noise(20, 30))
    half = blend(ONE, deep, 0.5)
    assert np.abs(half.pixels - (luminance(ONE.pixels) / 255 + deep.pixels) / 2).max() < 0.003
    assert (half.pixels.dtype, half.alpha is deep.alpha) == (np.float32, True)
    assert blend(ImageData(noise(20, 30, 1)), OTHER, 0.5).pixels.shape == (20, 30, 3)


def test_matched_colours_have_the_brightness_of_the_translation() -> None:
    one, other = (ImageData((0.3 + 0.4 * image.pixels / 255).astype(np.float32)) for image in (ONE, OTHER))
    result = blend(one, other, 1.0, match_color=True).pixels
    inside = (result > 0).all(2) & (result < 1).all(2)  # nothing was cut
    assert inside.mean() > 0.5
    assert np.abs(luminance(result) - luminance(other.pixels))[inside].max() < 1e-5
    assert np.abs(np.diff(result, axis=2) - np.diff(one.pixels, axis=2))[inside].max() < 1e-5, "as colourful as before"


def test_masks_are_soft_inside_and_nothing_outside(tmp_path: Path) -> None:
    square = np.zeros((60, 60, 1), np.uint8)
    square[10:50, 10:50] = 255
    write_image(tmp_path / "m.png", square)
    hard, soft = (read_mask(tmp_path / "m.png", (60, 60), feather) for feather in (0, 8))
    assert (hard == square / 255).all()
    assert (soft[square == 0] == 0).all()
    assert soft[30, 30, 0] == 1
    assert (np.diff(soft[30, 10:30, 0]) >= 0).all()
    assert 0.2 < soft[30, 14, 0] < 0.9
    write_image(tmp_path / "white.png", np.full((5, 5, 1), 255, np.uint8))
    assert (read_mask(tmp_path / "white.png", (33, 20), 8) == 1).all(), "an image has no edge"
    write_image(tmp_path / "clear.png", np.full((5, 5, 1), 255, np.uint8), np.zeros((5, 5), np.uint8))
    assert (read_mask(tmp_path / "clear.png", (5, 5), 0) == 0).all()


# --- files


def test_a_mask_for_each_image(weights: Path, tmp_path: Path) -> None:
    images(tmp_path / "in", "a.png", "deep/a.jpg", "none.png")
    half = np.zeros((20, 24, 1), np.uint8)
    half[:, 12:] = 255
    write_image(tmp_path / "masks" / "a.png", half)
    write_image(tmp_path / "masks" / "deep" / "a.webp", 255 - half)
    options = {"mask": tmp_path / "masks", "feather": 0, "strength": 0.5, "manifest": tmp_path / "m.jsonl"}
    result = go(weights, tmp_path / "in", format="png", **options)
    assert list(result.failed) == [tmp_path / "in" / "none.png"]
    plain = go(weights, tmp_path / "in", "plain", format="png")
    for name, kept, changed in (("a", slice(0, 12), slice(12, 24)), ("deep/a", slice(12, 24), slice(0, 12))):
        original = read_image(next((tmp_path / "in").glob(f"{name}.*"))).pixels.astype(int)
        found, whole = (read_image(tmp_path / out / f"{name}.png").pixels for out in ("out", "plain"))
        assert (found[:, kept] == original[:, kept]).all()
        middle = (original + whole)[:, changed] / 2
        assert np.abs(found[:, changed] - middle).max() <= 1
    lines = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    by_name = {Path(line["input"]).relative_to(tmp_path / "in").as_posix(): line for line in lines}
    assert by_name["deep/a.jpg"]["outputs"] == [str(tmp_path / "out" / "deep" / "a.png")]
    assert "no mask" in by_name["none.png"]["error"]
    assert len(lines) == len(plain.written) == 3
