"""Routes that torch itself goes: float32 and bfloat16."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from viceversa.routes.base import Run, Source

DEVICES = ("eager", "bf16")
"""Routes that go on every device; the others on the CPU."""


def eager(source: Source) -> Run:
    """Float32, as trained: what all other routes are measured by."""
    return source.net


def bf16(source: Source) -> Run:
    """All weights and values in bfloat16, with channels last: for CPUs with AMX or AVX-512 bf16, and for GPUs."""
    net = copy.deepcopy(source.net).to(torch.bfloat16).to(memory_format=torch.channels_last)

    def run(x: Tensor) -> Tensor:
        return net(x.to(torch.bfloat16, memory_format=torch.channels_last)).float()

    return run
