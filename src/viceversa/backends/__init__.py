"""Ways of running a trained generator, and files that hold one for other libraries (`exported`).

To add a way, write a function from a generator to a `Backend` and name it in `BACKENDS`.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeAlias

import torch
from torch import Tensor, nn

from viceversa.backends.bands import Bands
from viceversa.backends.exported import ExportedGenerator, load_network
from viceversa.devices import free_memory, layout_of
from viceversa.fast_cpu import accelerate
from viceversa.nets import Generator

__all__ = ["BACKENDS", "Backend", "ExportedGenerator", "draws_random_numbers", "load_network", "open_backend", "psnr"]

log = logging.getLogger("viceversa")
ALWAYS_FITS = 2**19
"""Pixels of a batch: so few are not looked at any closer, unless a limit is set."""
PIXEL = 1500
"""Bytes that a pixel takes in CycleGAN's generator, the guess for a network that cannot be taken apart."""

Backend: TypeAlias = Callable[[Tensor], Tensor]
"""From float32 (B, in, H, W) in [-1, 1] to float32 (B, out, H, W); H and W are what the network takes."""


def eager(net: Generator) -> Backend:
    """Float32, as trained: what all others are compared with. On a CPU with channels last, which is faster."""
    accelerate(net)
    parameter = next(net.parameters(), torch.empty(0))
    return net.to(memory_format=layout_of(parameter.device))


def bf16(net: Generator) -> Backend:
    """All weights and values in bfloat16, channels last: for CPUs with AMX or AVX-512 bf16, and for GPUs."""
    net = copy.deepcopy(net).to(torch.bfloat16).to(memory_format=torch.channels_last)
    accelerate(net)
    return lambda x: net(x.to(torch.bfloat16, memory_format=torch.channels_last)).float()


BACKENDS: dict[str, Callable[[Generator], Backend]] = {"eager": eager, "bf16": bf16}


def open_backend(name: str, net: Generator, memory: int | None = None) -> Backend:
    """Return a generator run by one of `BACKENDS`; raise ValueError, with the remedy, if that is not possible here.

    Images whose computation takes more than `memory` bytes, or than is free, are computed in bands of rows.
    """
    if name not in BACKENDS:
        raise ValueError(f"backend {name} is not known; use one of {', '.join(BACKENDS)}")
    if isinstance(net, ExportedGenerator):
        if name != "eager" or memory is not None:
            what = f"backend {name}" if name != "eager" else "--memory"
            raise ValueError(f"{what}: an exported file is run whole by the library of its format; omit it")
        return net
    if name != "eager" and draws_random_numbers(net):
        raise ValueError(f"backend {name}: this generator draws random numbers (inference=original); use eager")
    return _within_memory(BACKENDS[name](net), net, memory)


def _within_memory(whole: Backend, net: Generator, limit: int | None) -> Backend:
    """Return a backend that computes what would not fit into memory in bands of rows: exactly, in float32."""

    @cache
    def bands() -> tuple[Bands | None, str]:
        eager(net)
        try:
            return Bands(net), ""
        except ValueError as error:
            return None, str(error)

    @cache
    def tell(reason: str) -> None:
        how = f"whole all the same: {reason}" if reason else "in bands of rows"
        log.warning("an image takes more memory than it may; it is computed %s", how)

    def run(x: Tensor) -> Tensor:
        pixels = x.numel() // x.shape[1]
        if limit is None and pixels <= ALWAYS_FITS:
            return whole(x)
        memory = limit or free_memory(x.device)
        tiled, reason = bands()
        if pixels * (tiled.bytes_per_pixel if tiled else PIXEL) <= memory:
            return whole(x)
        tell(reason)
        return tiled(x, memory) if tiled else whole(x)

    return run


def draws_random_numbers(net: nn.Module) -> bool:
    """Whether the same input gives different results: dropout is on, as in the original pix2pix's tests."""
    return any(module.training and module.p > 0 for module in net.modules() if isinstance(module, nn.Dropout))


def psnr(backend: Backend, exact: Backend, inputs: Sequence[Tensor]) -> float:
    """Return the lowest PSNR of a backend's results to the exact ones, in decibels; NaN if one is not finite."""
    errors = [0.0]
    with torch.inference_mode():
        for x in inputs:
            difference = (backend(x).float() - exact(x).float()) / 2  # the range is -1 to 1
            errors.append(difference.square().mean().item())
    worst = max(errors, key=lambda error: (math.isnan(error), error))
    return -10 * math.log10(worst) if worst else math.inf
