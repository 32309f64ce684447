"""Adam takes weights and gradients as they lie, and lets the change be noticed."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from viceversa.config import TrainConfig
from viceversa.engine.optimizers import make_optimizer

LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize(("layout", "incoming"), list(itertools.product(LAYOUTS, LAYOUTS)))
def test_adam_is_exact_in_every_layout(layout: torch.memory_format, incoming: torch.memory_format) -> None:
    torch.manual_seed(0)
    weight = torch.randn(8, 4, 3, 3)
    exact = nn.Parameter(weight.double())
    ours = nn.Parameter(weight.contiguous(memory_format=layout))
    reference = torch.optim.Adam([exact], 1e-2, betas=(0.5, 0.999), foreach=False)
    optimizer = make_optimizer(TrainConfig(lr=1e-2, betas=(0.5, 0.999)), [ours], torch.device("cpu"))
    for _ in range(5):
        gradient, before = torch.randn(8, 4, 3, 3), ours._version
        exact.grad, ours.grad = gradient.double(), gradient.contiguous(memory_format=incoming)
        reference.step()
        optimizer.step()
        assert ours._version > before
    torch.testing.assert_close(ours.double(), exact, rtol=0, atol=1e-6)
    assert ours.is_contiguous(memory_format=layout)
    assert optimizer.state[ours]["exp_avg"].stride() == ours.stride()
