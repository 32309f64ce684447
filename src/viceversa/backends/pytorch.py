"""What every backend starts from, and the two that PyTorch itself computes: float32 and bfloat16."""

from __future__ import annotations

import copy
import importlib.util
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from viceversa.fast_cpu import accelerate
from viceversa.nets import Generator
from viceversa.nets.weights import Card

Backend: TypeAlias = Callable[[Tensor], Tensor]
"""From float32 (B, in, H, W) in [-1, 1] to float32 (B, out, H, W); H and W are what the network takes."""

ANY_DEVICE = ("eager", "bf16")
"""Backends for every device; the others compute on the CPU."""


@dataclass(frozen=True)
class TrainedGenerator:
    """A generator in its inference form, and what backends need to know of it."""

    net: Generator
    card: Card
    device: torch.device
    memory: int | None = None
    """Bytes for an image's computation; larger ones are computed in bands. None: what is free."""


def eager(trained: TrainedGenerator) -> Backend:
    """Float32, as trained: what all others are compared with. On a CPU with channels last, which is faster."""
    accelerate(trained.net)
    return trained.net.to(memory_format=torch.channels_last) if trained.device.type == "cpu" else trained.net


def bf16(trained: TrainedGenerator) -> Backend:
    """All weights and values in bfloat16, channels last: for CPUs with AMX or AVX-512 bf16, and for GPUs."""
    net = copy.deepcopy(trained.net).to(torch.bfloat16).to(memory_format=torch.channels_last)
    accelerate(net)
    return lambda x: net(x.to(torch.bfloat16, memory_format=torch.channels_last)).float()


def draws_random_numbers(net: nn.Module) -> bool:
    """Whether the same input gives different results: dropout is on, as in the original pix2pix's tests."""
    return any(module.training and module.p > 0 for module in net.modules() if isinstance(module, nn.Dropout))


def psnr(backend: Backend, exact: Backend, inputs: Sequence[Tensor]) -> float:
    """Return the lowest peak signal-to-noise ratio of a backend's results to the exact ones, in decibels.

    It is NaN if any of these results is not finite.
    """
    errors = [0.0]
    with torch.inference_mode():
        for x in inputs:
            difference = (backend(x).float() - exact(x).float()) / 2  # the range is -1 to 1
            errors.append(difference.square().mean().item())
    worst = max(errors, key=lambda error: (math.isnan(error), error))
    return -10 * math.log10(worst) if worst else math.inf


def require(backend: str, extra: str, *packages: str) -> None:
    """Raise ValueError, with the remedy, unless these packages are installed; none is imported."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise ValueError(f'backend {backend}: {package} is not installed; pip install "viceversa[{extra}]"')
