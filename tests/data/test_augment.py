"""Random changes beyond crop and flip: aligned in pairs, drawn from the stream's own numbers, off by default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from viceversa.config import AugmentConfig, Config, ConfigError, DataConfig, TrainConfig, load_config, to_yaml
from viceversa.data import open_loader
from viceversa.data.transforms import augment

STRENGTHS = st.builds(
    AugmentConfig,
    rotate=st.sampled_from([0.0, 10.0, 180.0]),
    scale=st.sampled_from([0.0, 0.3]),
    color=st.sampled_from([0.0, 0.3]),
    hue=st.sampled_from([0.0, 0.2]),
    color_of=st.sampled_from(["A", "B"]),
    cutout=st.sampled_from([0.0, 0.5]),
)
SEEDS = st.integers(0, 2**32 - 1)


def smooth(height: int, width: int) -> np.ndarray:
    """A float picture that says where a pixel was, without the jumps that mirroring would make of coordinates."""
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    across, down = (across + 0.5) / width, (down + 0.5) / height
    return np.stack([across, down, 1 - across], axis=2)


@settings(deadline=None)
@given(STRENGTHS, st.sampled_from(["stretch", "short_side", "none"]), st.booleans(), st.integers(20, 40), SEEDS)
def test_a_pair_stays_aligned_under_every_change(
    strength: AugmentConfig, resize: Any, flip: bool, height: int, seed: int
) -> None:
    """The domain whose colours stay is changed exactly as without colours; the other, only in its colours."""
    data = DataConfig(resize=resize, load=24, crop=16, flip=flip, augment=strength)
    picture = smooth(height, 30)
    pair = dict(zip("AB", augment([picture, picture], data, np.random.default_rng(seed)), strict=True))
    other = "B" if strength.color_of == "A" else "A"
    geometry = AugmentConfig(strength.rotate, strength.scale, cutout=strength.cutout)
    plain = DataConfig(resize=resize, load=24, crop=16, flip=flip, augment=geometry)
    (expected,) = augment([picture], plain, np.random.default_rng(seed))
    assert np.array_equal(pair[other], expected)
    if not strength.recolors:
        assert np.array_equal(pair["A"], pair["B"])
    assert pair["A"].shape == pair["B"].shape == (16, 16, 3)
    holes = [(crop == 0.5).all(axis=2) for crop in pair.values()]
    assert np.array_equal(*holes)


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
    assert one.dtype == kind
    assert one.shape == (12, 12, channels)
    assert one.min() >= 0
    assert one.max() <= (255 if kind == np.uint8 else 1)


def test_off_is_bitwise_what_it_was_and_one_change_leaves_the_others() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    rng = np.random.default_rng(7)
    down, right, mirror = np.random.default_rng(7).random(3)
    (crop,) = augment([picture], DataConfig(resize="none", crop=20, load=20), rng)
    expected = picture[int(down * 11) : int(down * 11) + 20, int(right * 11) : int(right * 11) + 20]
    assert np.array_equal(crop, expected[:, ::-1] if mirror < 0.5 else expected)
    assert rng.random() == np.random.default_rng(7).random(4)[3]  # and nothing more was drawn


def changed(picture: np.ndarray, count: int = 200, **strengths: Any) -> list[np.ndarray]:
    """Draws of a picture that is neither resized nor cropped nor flipped."""
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
    spans = [np.ptp(scaled[:, :, 0]) for scaled in changed(smooth(40, 40), scale=0.5)]
    assert min(spans) == pytest.approx(1 / 1.5, abs=0.05)
    small = [scaled for scaled, span in zip(changed(smooth(40, 40), scale=0.5), spans, strict=True) if span > 0.96]
    for scaled in small:  # mirrored beyond the edge
        assert np.abs(np.diff(scaled[20, :, 0])).max() < 0.06
    assert len(small) > 40


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


@pytest.fixture
def root(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    for domain in ("A", "B"):
        (tmp_path / domain).mkdir()
        for i in range(3):
            Image.fromarray(pixels).save(tmp_path / domain / f"{i}.png")
    return tmp_path


def config(root: Path, layout: Any, **strengths: Any) -> Config:
    data = DataConfig(str(root), layout=layout, load=12, crop=8, workers=0, augment=AugmentConfig(**strengths))
    return Config(data=data, train=TrainConfig(batch=4))


def test_through_the_stream(root: Path) -> None:
    stream = open_loader(config(root, "paired", rotate=20, scale=0.2, color=0.3, color_of="A", cutout=0.3))
    plain = open_loader(config(root, "paired", rotate=20, scale=0.2, cutout=0.3))
    batch, expected = next(stream.batches(5)), next(plain.batches(5))
    assert torch.equal(batch["B"], expected["B"])
    assert torch.equal(expected["A"], expected["B"])
    assert not torch.equal(batch["A"], expected["A"])
    unpaired = next(open_loader(config(root, "unpaired", color=0.3, color_of="B")).batches(5))
    off = next(open_loader(config(root, "unpaired")).batches(5))
    assert torch.equal(unpaired["A"], off["A"])
    assert not torch.equal(unpaired["B"], off["B"])


def test_what_would_do_harm_is_refused(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"true answer of a pair wrong; .*data\.augment\.color_of=A"):
        open_loader(config(root, "paired", hue=0.1))


def test_as_configuration() -> None:
    given = load_config(None, ["data.augment={color: 0.1, rotate: 10}", "data.augment.scale=0.2"])
    assert given.data.augment == AugmentConfig(rotate=10, scale=0.2, color=0.1)
    assert "    # Turn by up to so many degrees" in to_yaml(given)
    for word, says in (("data.augment.colour=1", "did you mean color"), ("data.augment.scale=1", "less than 1")):
        with pytest.raises(ConfigError, match=rf"{word.split('=')[0]}: .*{says}"):
            load_config(None, [word])
