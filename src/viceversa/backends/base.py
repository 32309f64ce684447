"""What routes start from, and how exact they are."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import torch
from torch import Tensor, nn

from viceversa import __version__
from viceversa.nets import Generator
from viceversa.nets.weights import Card

Backend: TypeAlias = Callable[[Tensor], Tensor]

EXACT = 45.0
"""PSNR to the eager network, decibels, from which on nobody sees a difference."""


@dataclass(frozen=True)
class TrainedGenerator:
    """A trained generator, in its inference form, and what a route has to know of it."""

    net: Generator
    card: Card
    device: torch.device
    examples: Sequence[Tensor] = ()
    """Batches such as it will be given, (1, in, H, W): int8 is calibrated on them."""

    @cached_property
    def digest(self) -> str:
        """What tells it from all other generators: converted ones are kept under this name."""
        card = self.card
        described = [card.generator, card.in_channels, card.out_channels, card.size, card.inference]
        seen = hashlib.sha256(json.dumps([described, __version__, torch.__version__], sort_keys=True).encode())
        for name, tensor in self.net.state_dict().items():
            seen.update(name.encode())
            seen.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return seen.hexdigest()[:24]


def random(net: nn.Module) -> bool:
    """Whether a network draws random numbers: its dropout is on, as the original pix2pix tests."""
    return any(module.training and module.p > 0 for module in net.modules() if isinstance(module, nn.Dropout))


def psnr(run: Backend, exact: Backend, inputs: Sequence[Tensor]) -> float:
    """Return the lowest peak signal-to-noise ratio of a route's results to the exact ones, decibels."""
    worst = 0.0
    with torch.inference_mode():
        for x in inputs:
            off = (run(x).float() - exact(x).float()) / 2  # the range is -1 to 1
            worst = max(worst, off.square().mean().item())
    return -10 * math.log10(worst) if worst else math.inf


def installed(*packages: str) -> bool:
    """Whether all these packages can be imported; none is."""
    return all(importlib.util.find_spec(package) is not None for package in packages)


def require(route: str, extra: str, *packages: str) -> None:
    """Raise ValueError, with the remedy, unless all these packages are installed."""
    for package in packages:
        if not installed(package):
            raise ValueError(f'route {route}: {package} is not installed; pip install "viceversa[{extra}]"')
