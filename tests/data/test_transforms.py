"""Resizing, cropping, flipping and augmentation: aligned in pairs, decided by the draw, off by default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from viceversa.config import AugmentConfig, Config, ConfigError, DataConfig
from viceversa.data import open_loader
from viceversa.data.transforms import augment, prepare


def coordinates(height: int, width: int) -> np.ndarray:
    """A float image whose channels say where a pixel was: 0 to 1 across, 0 to 1 down."""
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.stack([(across + 0.5) / width, (down + 0.5) / height, 1 - (across + 0.5) / width], axis=2)


RESIZES = st.sampled_from(["stretch", "short_side", "none"])
CONFIGS = st.builds(
    lambda resize, crop, more, flip: DataConfig(resize=resize, crop=crop, load=crop + more, flip=flip),
    *(RESIZES, st.integers(4, 24), st.integers(0, 12), st.booleans()),
)
STRENGTHS = st.builds(
    AugmentConfig,
    rotate=st.sampled_from([0.0, 10.0, 180.0]),
    scale=st.sampled_from([0.0, 0.3]),
    color=st.sampled_from([0.0, 0.3]),
    hue=st.sampled_from([0.0, 0.2]),
    color_of=st.sampled_from(["A", "B"]),
    cutout=st.sampled_from([0.0, 0.5]),
)
SIDES, SEEDS = st.integers(6, 48), st.integers(0, 2**32 - 1)


@given(CONFIGS, SIDES, SIDES, st.sampled_from([1, 2, 3]), SEEDS)
def test_a_crop_is_an_upright_piece_and_pairs_stay_aligned(
    data: DataConfig, height: int, width: int, times: int, seed: int
) -> None:
    """Also if the second image has a multiple of the first one's size."""
    first, second = coordinates(height, width), coordinates(height * times, width * times)
    one, other = augment([first, second], data, np.random.default_rng(seed))
    assert one.shape == other.shape == (data.crop, data.crop, 3)
    assert np.abs(one - other).max() < 1.5 / min(height, width)  # resizing bends coordinates a little near the edges
    assert times > 1 or np.array_equal(one, other)
    across, down = one[0, :, 0], one[:, 0, 1]
    mirrored = across[-1] < across[0]
    assert data.flip or not mirrored
    assert (np.diff(down) > -1e-6).all()
    assert (np.diff(across[::-1] if mirrored else across) > -1e-6).all()


def test_crops_reach_every_place_and_half_are_flipped() -> None:
    data = DataConfig(resize="none", crop=6, load=6)
    places, flips = set(), 0
    for seed in range(400):
        (crop,) = augment([coordinates(8, 9)], data, np.random.default_rng(seed))
        places.add((float(crop[..., 0].min()), float(crop[..., 1].min())))
        flips += bool(crop[0, 0, 0] > crop[0, -1, 0])
    assert len(places) == 3 * 4
    assert 160 < flips < 240


@pytest.mark.parametrize(
    ("options", "size", "expected"),
    [
        ({"resize": "stretch", "load": 12}, (20, 50), (12, 12)),
        ({"resize": "short_side", "load": 12}, (20, 50), (12, 30)),
        ({"resize": "short_side", "load": 12}, (50, 20), (30, 12)),
        ({"resize": "none"}, (20, 50), (20, 50)),
        ({"resize": "none"}, (5, 8), (10, 16)),  # smaller than the crop
    ],
)
def test_size_before_the_crop(options: dict[str, Any], size: tuple[int, int], expected: tuple[int, int]) -> None:
    """The slope of the coordinates tells what the image was resized to."""
    data = DataConfig(crop=10, flip=False, **options)
    (crop,) = augment([coordinates(*size)], data, np.random.default_rng(3))
    across, down = np.median(np.diff(crop[5, :, 0])), np.median(np.diff(crop[:, 5, 1]))
    assert (1 / down, 1 / across) == pytest.approx(expected, rel=0.02)


def test_prepare_is_the_whole_or_the_centre() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 40, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    stretched = prepare(pixels, DataConfig(crop=10, load=12))
    assert np.array_equal(stretched, np.asarray(image.resize((10, 10), Image.Resampling.BICUBIC)))
    for resize in ("short_side", "none"):
        centre = prepare(pixels, DataConfig(crop=10, load=12, resize=resize))
        assert np.array_equal(centre, np.asarray(image.resize((20, 10), Image.Resampling.BICUBIC))[:, 5:15])


@settings(deadline=None)
@given(STRENGTHS, RESIZES, st.integers(20, 40), SEEDS)
def test_a_pair_stays_aligned_under_every_augmentation(
    strength: AugmentConfig, resize: Any, height: int, seed: int
) -> None:
    """The domain whose colours stay is changed exactly as without colours; the other, only in its colours."""
    picture = coordinates(height, 30)
    data = DataConfig(resize=resize, load=24, crop=16, augment=strength)
    pair = dict(zip("AB", augment([picture, picture], data, np.random.default_rng(seed)), strict=True))
    geometry = AugmentConfig(strength.rotate, strength.scale, cutout=strength.cutout)
    plain = DataConfig(resize=resize, load=24, crop=16, augment=geometry)
    (expected,) = augment([picture], plain, np.random.default_rng(seed))
    assert np.array_equal(pair["B" if strength.color_of == "A" else "A"], expected)
    assert strength.recolors or np.array_equal(pair["A"], pair["B"])
    assert np.array_equal(*((crop == 0.5).all(axis=2) for crop in pair.values()))


@settings(deadline=None)
@given(STRENGTHS, st.sampled_from([np.uint8, np.float32]), st.sampled_from([1, 3, 4]), SEEDS)
def test_type_and_range_stay_and_the_draw_decides(strength: AugmentConfig, kind: Any, channels: int, seed: int) -> None:
    picture = np.random.default_rng(1).random((20, 26, channels), np.float32)
    picture = (picture * 255).astype(np.uint8) if kind == np.uint8 else picture
    data = DataConfig(load=20, crop=12, augment=strength)
    state = torch.get_rng_state()
    one, again = (augment([picture], data, np.random.default_rng(seed), "A")[0] for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(one, again)
    assert (one.dtype, one.shape) == (kind, (12, 12, channels))
    assert 0 <= one.min() <= one.max() <= (255 if kind == np.uint8 else 1)


def changed(picture: np.ndarray, count: int = 200, **strengths: Any) -> list[np.ndarray]:
    """Draws of an image that is neither resized nor cropped nor flipped."""
    side = len(picture)
    data = DataConfig(resize="none", load=side, crop=side, flip=False, augment=AugmentConfig(**strengths))
    return [augment([picture], data, np.random.default_rng(seed), "A")[0] for seed in range(count)]


def test_turning_and_scaling() -> None:
    picture = np.zeros((21, 21, 1), np.float32)
    picture[5:8, 9:12] = 1  # above the middle
    angles = []
    for turned in changed(picture, rotate=90):
        place = np.argwhere(turned[:, :, 0] > 0.4).mean(axis=0) - 10
        assert np.hypot(*place) == pytest.approx(4, abs=0.7)
        angles.append(np.degrees(np.arctan2(place[1], -place[0])))
    assert min(angles) < -70
    assert max(angles) > 70
    assert abs(np.mean(angles)) < 15
    scaled = changed(coordinates(40, 40), scale=0.5)
    assert min(np.ptp(one[:, :, 0]) for one in scaled) == pytest.approx(1 / 1.5, abs=0.05)
    small = [one for one in scaled if np.ptp(one[:, :, 0]) > 0.96]
    assert len(small) > 40
    assert all(np.abs(np.diff(one[20, :, 0])).max() < 0.06 for one in small)  # mirrored beyond the edge


def test_colours() -> None:
    picture = np.random.default_rng(0).random((8, 8, 4), np.float32) / 3 + 0.2
    bright = changed(picture, color=0.5)
    assert all(np.array_equal(one[:, :, 3], picture[:, :, 3]) for one in bright)  # alpha stays
    levels = [one[:, :, :3].mean() / picture[:, :, :3].mean() for one in bright]
    assert 0.45 < min(levels) < 0.65
    assert 1.35 < max(levels) < 1.55
    gray = np.repeat(picture[:, :, :1], 3, axis=2)
    assert all(np.ptp(one, axis=2).max() < 1e-5 for one in changed(gray, 20, color=0.5, hue=0.5))
    red = np.tile(np.array([1, 0, 0], np.float32), (8, 8, 1))
    assert {int(one[0, 0].argmax()) for one in changed(red, hue=0.5)} == {0, 1, 2}
    assert {int(one[0, 0].argmax()) for one in changed(red, hue=0.1)} == {0}


def test_the_blank_square_reaches_every_size_and_place() -> None:
    sizes, corners = set(), set()
    for one in changed(np.zeros((16, 16, 3), np.uint8), 800, cutout=0.5):
        blank = one[:, :, 0] == 128
        sizes.add(int(np.sqrt(blank.sum())))
        corners |= {corner for corner in ((0, 0), (0, 15), (15, 0), (15, 15)) if blank[corner]}
        assert blank.sum() == int(np.sqrt(blank.sum())) ** 2
    assert sizes >= set(range(2, 9))
    assert max(sizes) == 8
    assert len(corners) == 4


def test_through_the_loader(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    for domain in ("A", "B"):
        (tmp_path / domain).mkdir()
        for i in range(3):
            Image.fromarray(pixels).save(tmp_path / domain / f"{i}.png")

    def batch(layout: Any, **strengths: Any) -> dict[str, torch.Tensor]:
        strength = AugmentConfig(**strengths)
        data = DataConfig(str(tmp_path), layout=layout, load=12, crop=8, workers=0, augment=strength)
        return next(open_loader(Config(data=data)).batches(5))

    pair, plain = (
        batch("paired", rotate=20, color=0.3, color_of="A", cutout=0.3),
        batch("paired", rotate=20, cutout=0.3),
    )
    assert torch.equal(pair["B"], plain["B"])
    assert torch.equal(plain["A"], plain["B"])
    assert not torch.equal(pair["A"], plain["A"])
    unpaired, off = batch("unpaired", color=0.3, color_of="B"), batch("unpaired")
    assert torch.equal(unpaired["A"], off["A"])
    assert not torch.equal(unpaired["B"], off["B"])
    with pytest.raises(ConfigError, match=r"true answer of a pair wrong; .*data\.augment\.color_of=A"):
        batch("paired", hue=0.1)
