"""Routes that torch itself goes: float32 and bfloat16."""

from __future__ import annotations

import copy

import torch

from viceversa.backends.base import Backend, TrainedGenerator
from viceversa.fast_cpu import accelerate

DEVICES = ("eager", "bf16")
"""Routes that go on every device; the others on the CPU."""


def eager(source: TrainedGenerator) -> Backend:
    """Float32, as trained: what all other routes are measured by. On a CPU with channels last, which is faster."""
    accelerate(source.net)
    return source.net.to(memory_format=torch.channels_last) if source.device.type == "cpu" else source.net


def bf16(source: TrainedGenerator) -> Backend:
    """All weights and values in bfloat16, channels last: for CPUs with AMX or AVX-512 bf16, and for GPUs."""
    net = copy.deepcopy(source.net).to(torch.bfloat16).to(memory_format=torch.channels_last)
    accelerate(net, low_precision=True)
    return lambda x: net(x.to(torch.bfloat16, memory_format=torch.channels_last)).float()
