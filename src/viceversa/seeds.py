"""Random numbers that follow from integers, so that no generator's state has to be saved."""

from __future__ import annotations

import numpy as np
import torch

SHARED = torch.Generator()
"""Draws that must be the same in all processes, because they are the same for all images of a batch."""


def seed_everything(seed: int, rank: int, step: int) -> None:
    """Seed torch's generators on every device from all three numbers, and `SHARED` from the seed and the step."""
    torch.manual_seed(_mixed(seed, rank, step))
    SHARED.manual_seed(_mixed(seed, step))


def altered(seed: int, times: int) -> int:
    """Return the seed that takes the place of `seed` when the data's order was changed for the n-th time."""
    return _mixed(seed, 0, 0, times) if times else seed


def _mixed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
