"""Ways of running a trained generator. All but `eager` are faster somewhere, and less exact.

To add one, write a function from a `TrainedGenerator` to a `Backend` and name it in `BACKENDS`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache

from torch import Tensor

from viceversa.backends import pytorch
from viceversa.backends.bands import Bands
from viceversa.backends.exported import ExportedGenerator, load_network, through_file
from viceversa.backends.pytorch import Backend, TrainedGenerator, draws_random_numbers, psnr
from viceversa.devices import free_memory

__all__ = [
    "BACKENDS",
    "Backend",
    "ExportedGenerator",
    "TrainedGenerator",
    "draws_random_numbers",
    "load_network",
    "open_backend",
    "psnr",
]

log = logging.getLogger("viceversa")
ALWAYS_FITS = 2**19
"""Pixels of a batch: so few are not looked at any closer, unless a limit is set."""
PIXEL = 1500
"""Bytes that a pixel takes in CycleGAN's generator, the guess for a network that cannot be taken apart."""

BACKENDS: dict[str, Callable[[TrainedGenerator], Backend]] = {
    "eager": pytorch.eager,
    "bf16": pytorch.bf16,
    "onnx": through_file("onnx", ".onnx", "fp32"),
    "openvino": through_file("openvino", ".xml", "fp16"),
}


def open_backend(name: str, trained: TrainedGenerator) -> Backend:
    """Return a generator run by one of `BACKENDS`; raise ValueError, with the remedy, if that is not possible here."""
    if name not in BACKENDS:
        raise ValueError(f"backend {name} is not known; use one of {', '.join(BACKENDS)}")
    if isinstance(trained.net, ExportedGenerator):
        if name != "eager" or trained.memory is not None:
            what = f"backend {name}" if name != "eager" else "--memory"
            raise ValueError(f"{what}: an exported file is run whole by the library of its format; omit it")
        return trained.net
    if name != "eager" and draws_random_numbers(trained.net):
        raise ValueError(f"backend {name}: this generator draws random numbers (inference=original); use eager")
    if name not in pytorch.ANY_DEVICE and trained.device.type != "cpu":
        raise ValueError(f"backend {name} computes on the CPU; add --device cpu, or use bf16")
    return _within_memory(BACKENDS[name](trained), trained)


def _within_memory(whole: Backend, trained: TrainedGenerator) -> Backend:
    """Return a backend that computes what would not fit into memory in bands of rows: exactly, in float32."""

    @cache
    def bands() -> tuple[Bands | None, str]:
        pytorch.eager(trained)
        try:
            return Bands(trained.net), ""
        except ValueError as error:
            return None, str(error)

    @cache
    def tell(reason: str) -> None:
        how = f"whole all the same: {reason}" if reason else "in bands of rows"
        log.warning("an image takes more memory than it may; it is computed %s", how)

    def run(x: Tensor) -> Tensor:
        pixels = x.numel() // x.shape[1]
        if trained.memory is None and pixels <= ALWAYS_FITS:
            return whole(x)
        memory = trained.memory or free_memory(trained.device)
        tiled, reason = bands()
        if pixels * (tiled.bytes_per_pixel if tiled else PIXEL) <= memory:
            return whole(x)
        tell(reason)
        return tiled(x, memory) if tiled else whole(x)

    return run
