from __future__ import annotations

import math

import numpy as np
import pytest

from viceversa.metrics import METRICS, l1, psnr


def flat(value: int) -> np.ndarray:
    return np.full((4, 5, 3), value, np.uint8)


def test_psnr_by_hand() -> None:
    assert psnr(flat(100), flat(110)) == pytest.approx(20 * math.log10(255 / 10))
    assert psnr(flat(0), flat(255)) == 0
    assert psnr(flat(7), flat(7)) == math.inf


def test_l1_by_hand() -> None:
    assert l1(flat(100), flat(151)) == pytest.approx(0.2)
    assert l1(flat(151), flat(100)) == pytest.approx(0.2), "unsigned numbers do not wrap around"
    half = flat(0)
    half[:2] = 255
    assert l1(half, flat(0)) == pytest.approx(0.5)


@pytest.mark.parametrize("metric", METRICS.values())
def test_what_cannot_be_compared_is_refused(metric) -> None:
    with pytest.raises(ValueError, match="same shape"):
        metric(flat(1), flat(1)[:, :, :1])  # would broadcast
    with pytest.raises(ValueError, match="uint8"):
        metric(flat(1).astype(np.float32), flat(1))
