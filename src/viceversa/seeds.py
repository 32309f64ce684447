"""Random numbers that follow from integers, so that no generator's state has to be saved."""

from __future__ import annotations

import numpy as np
import torch


def seed_everything(*numbers: int) -> None:
    """Seed torch's generators, on every device, from a sequence of integers such as (seed, rank, step)."""
    torch.manual_seed(int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1))
