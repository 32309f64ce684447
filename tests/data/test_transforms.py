"""Resizing, cropping and flipping."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from viceversa.config import DataConfig
from viceversa.data.transforms import augment, prepare


def coordinates(height: int, width: int) -> np.ndarray:
    """A float picture whose channels say where a pixel was: 0 to 1 across, 0 to 1 down."""
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.stack([(across + 0.5) / width, (down + 0.5) / height, np.zeros_like(down)], axis=2)


CONFIGS = st.builds(
    lambda resize, crop, more, flip: DataConfig(resize=resize, crop=crop, load=crop + more, flip=flip),
    st.sampled_from(["stretch", "short_side", "none"]),
    st.integers(4, 24),
    st.integers(0, 12),
    st.booleans(),
)
SIDES = st.integers(6, 48)
SEEDS = st.integers(0, 2**32 - 1)


@given(CONFIGS, SIDES, SIDES, st.sampled_from([1, 2, 3]), SEEDS)
def test_a_pair_stays_aligned(data: DataConfig, height: int, width: int, times: int, seed: int) -> None:
    """Under every augmentation, also if the second picture has a multiple of the first one's size."""
    first, second = coordinates(height, width), coordinates(height * times, width * times)
    one, other = augment([first, second], data, np.random.default_rng(seed))
    assert one.shape == other.shape == (data.crop, data.crop, 3)
    assert np.abs(one - other).max() < 1.5 / min(height, width)  # resizing bends coordinates a little near the edges
    if times == 1:
        assert np.array_equal(one, other)


@given(CONFIGS, SIDES, SIDES, SEEDS)
def test_a_crop_is_an_upright_piece_of_the_picture(data: DataConfig, height: int, width: int, seed: int) -> None:
    (crop,) = augment([coordinates(height, width)], data, np.random.default_rng(seed))
    across, down = crop[0, :, 0], crop[:, 0, 1]
    assert (np.diff(down) > -1e-6).all()
    mirrored = across[-1] < across[0]
    assert data.flip or not mirrored
    assert (np.diff(across[::-1] if mirrored else across) > -1e-6).all()


@given(CONFIGS, SEEDS)
def test_the_draw_decides_everything(data: DataConfig, seed: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    once, again = (augment([pixels], data, np.random.default_rng(seed))[0] for _ in range(2))
    assert np.array_equal(once, again)
    assert once.dtype == np.uint8


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
    """The slope of the coordinates tells what the picture was resized to."""
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
