"""Ways of computing a trained generator; all but `eager` are faster somewhere, and less exact.

A route is a function from float32 (B, in, H, W) in [-1, 1] to float32 (B, out, H, W): it takes the network's place
where pictures are translated. Heights and widths are those that the network takes.
"""

from __future__ import annotations

from collections.abc import Callable

from viceversa.backends import onnx, openvino, pytorch
from viceversa.backends.base import EXACT, Backend, TrainedGenerator, psnr, random

__all__ = ["BACKENDS", "EXACT", "Backend", "TrainedGenerator", "measurable", "open_backend", "psnr", "random"]

BACKENDS: dict[str, Callable[[TrainedGenerator], Backend]] = {
    "eager": pytorch.eager,
    "bf16": pytorch.bf16,
    "onnx": onnx.onnx,
    "openvino": openvino.openvino,
    "int8": openvino.int8,
}


def open_backend(name: str, source: TrainedGenerator) -> Backend:
    """Return a network by one of `BACKENDS`; ValueError, with the remedy, if that does not go here."""
    if name not in BACKENDS:
        raise ValueError(f"route {name} is not known: use one of {', '.join(BACKENDS)}")
    if name != "eager" and random(source.net):
        raise ValueError(f"route {name}: this generator draws random numbers (inference=original); use route eager")
    if name not in pytorch.DEVICES and source.device.type != "cpu":
        raise ValueError(f"route {name} computes on the CPU: add --device cpu, or use route bf16")
    return BACKENDS[name](source)


def measurable(source: TrainedGenerator) -> list[str]:
    """Return the routes worth a trial beside `eager`: those that go here, and need nothing to be calibrated."""
    if random(source.net) or source.device.type == "mps":
        return []
    return [
        "bf16",
        *(name for name, there in (("openvino", openvino.there), ("onnx", onnx.there)) if there(source)),
    ]
