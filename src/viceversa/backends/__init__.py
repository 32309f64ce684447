"""Ways of running a trained generator. All but `eager` are faster somewhere, and less exact.

To add one, write a function from a `TrainedGenerator` to a `Backend` and name it in `BACKENDS`.
"""

from __future__ import annotations

from collections.abc import Callable

from viceversa.backends import onnx, openvino, pytorch
from viceversa.backends.exported import EXPORTED, ExportedGenerator, load_exported
from viceversa.backends.pytorch import Backend, TrainedGenerator, draws_random_numbers, psnr

__all__ = [
    "BACKENDS",
    "EXPORTED",
    "Backend",
    "ExportedGenerator",
    "TrainedGenerator",
    "draws_random_numbers",
    "load_exported",
    "open_backend",
    "psnr",
]

BACKENDS: dict[str, Callable[[TrainedGenerator], Backend]] = {
    "eager": pytorch.eager,
    "bf16": pytorch.bf16,
    "onnx": onnx.onnx,
    "openvino": openvino.openvino,
    "int8": openvino.int8,
}


def open_backend(name: str, trained: TrainedGenerator) -> Backend:
    """Return a generator run by one of `BACKENDS`; raise ValueError, with the remedy, if that is not possible here."""
    if name not in BACKENDS:
        raise ValueError(f"backend {name} is not known; use one of {', '.join(BACKENDS)}")
    if name != "eager" and isinstance(trained.net, ExportedGenerator):
        raise ValueError(f"backend {name}: an exported file is run by the library of its format; use eager")
    if name != "eager" and draws_random_numbers(trained.net):
        raise ValueError(f"backend {name}: this generator draws random numbers (inference=original); use eager")
    if name not in pytorch.ANY_DEVICE and trained.device.type != "cpu":
        raise ValueError(f"backend {name} computes on the CPU; add --device cpu, or use bf16")
    return BACKENDS[name](trained)
