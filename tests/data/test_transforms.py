"""Resizing, cropping, flipping and augmentation: aligned in pairs, decided by the draw, off by default."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from viceversa.config import AugmentConfig, ConfigError, DataConfig
from viceversa.data.transforms import augment, check_augment, prepared


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
    [stretched] = prepared([pixels], DataConfig(crop=10, load=12))
    assert np.array_equal(stretched, np.asarray(image.resize((10, 10), Image.Resampling.BICUBIC)))
    for resize in ("short_side", "none"):
        [centre] = prepared([pixels], DataConfig(crop=10, load=12, resize=resize))
        assert np.array_equal(centre, np.asarray(image.resize((20, 10), Image.Resampling.BICUBIC))[:, 5:15])


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
    assert (strength.color or strength.hue) or np.array_equal(pair["A"], pair["B"])
    assert np.array_equal(*((crop == 0.5).all(axis=2) for crop in pair.values()))


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


def test_colours_of_pairs_need_the_domain_that_changes() -> None:
    with pytest.raises(ConfigError, match=r"data\.augment\.color_of=A"):
        check_augment(AugmentConfig(hue=0.1), True, (3, 3))
    check_augment(AugmentConfig(hue=0.1, color_of="A"), True, (3, 3))
    with pytest.raises(ConfigError, match="domain B has 5"):
        check_augment(AugmentConfig(color=0.1), False, (3, 5))
