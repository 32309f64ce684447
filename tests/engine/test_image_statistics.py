"""Each sign on pictures that have the ailment, and on pictures that do not."""

from __future__ import annotations

import numpy as np
import pytest

from viceversa.engine import image_statistics


def pictures(seed: int = 0, side: int = 64, count: int = 4) -> image_statistics.Pictures:
    """Smooth coloured blobs: a 1/f spectrum, as natural pictures have."""
    rng = np.random.default_rng(seed)
    frequencies = np.fft.fftfreq(side)
    falling = 1 / (np.hypot(frequencies[:, None], frequencies) + 1 / side)
    noise = np.fft.fft2(rng.normal(size=(count, 3, side, side))) * falling
    blobs = np.fft.ifft2(noise).real
    return (blobs / np.abs(blobs).max()).transpose(0, 2, 3, 1)


def test_likeness() -> None:
    assert image_statistics.likeness(pictures(), pictures() * 0.3 + 0.2) == pytest.approx(np.ones(4))
    assert image_statistics.likeness(pictures(), -pictures()) == pytest.approx(-np.ones(4))
    assert image_statistics.likeness(pictures(), np.zeros_like(pictures())).tolist() == [0, 0, 0, 0]


def test_tint() -> None:
    red = pictures() * 0.5 + np.array([0.3, 0, 0])
    difference = image_statistics.tint(red) - image_statistics.tint(pictures() * 0.5)
    assert difference.tolist() == pytest.approx([0.2, -0.1, -0.1])


def test_diversity() -> None:
    same = np.repeat(pictures()[:1], 4, axis=0) + np.random.default_rng(0).normal(size=pictures().shape) * 0.05
    assert image_statistics.diversity(same) < 0.1 * image_statistics.diversity(pictures())
    assert image_statistics.diversity(pictures(count=1)) == 0
    assert image_statistics.diversity(np.array([0.0, 1.0]).reshape(2, 1, 1, 1)) == 1


def test_saturation() -> None:
    assert image_statistics.saturation(np.clip(pictures() * 20, -1, 1)) > 0.6
    assert image_statistics.saturation(pictures()) < 0.05


@pytest.mark.parametrize("period", [2, 4])
@pytest.mark.parametrize("axis", [1, 2])
def test_stripes(period: int, axis: int) -> None:
    bars = np.cos(2 * np.pi * np.arange(64) / period).reshape(1, *(64 if i == axis else 1 for i in (1, 2)), 1)
    assert image_statistics.stripes(pictures() + 0.08 * bars) > 2
    assert image_statistics.stripes(pictures()) < 0.8
    noisy = pictures() + np.random.default_rng(1).normal(size=pictures().shape) * 0.05
    assert image_statistics.stripes(noisy) < 0.8, "noise is no pattern"
