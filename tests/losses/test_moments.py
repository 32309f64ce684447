from __future__ import annotations

import pytest
import torch
from torch import Tensor

from viceversa.losses.moments import MomentMatching


def maps(level: float) -> list[Tensor]:
    return [torch.full((2, 4, 3, 3), level, dtype=torch.float64), torch.full((2, 9, 2, 2), level, dtype=torch.float64)]


def test_is_the_squared_distance_of_means_and_root_mean_squares_each_map_counting_alike() -> None:
    loss = MomentMatching([4, 9]).double()
    assert loss(maps(2.0), maps(1.5)).item() == pytest.approx(4 * 0.5**2, rel=1e-3)
    assert loss(maps(1.5), maps(1.5)).item() == pytest.approx(0, abs=1e-6)


def test_one_unusual_batch_does_not_turn_the_gradient() -> None:
    loss = MomentMatching([4, 9]).double()
    for _ in range(20):
        loss(maps(2.0), maps(1.0))
    fake = [part.requires_grad_() for part in maps(0.5)]
    loss(fake, maps(1.0)).backward()
    assert all(part.grad is not None and (part.grad > 0).all() for part in fake), "still downwards"
