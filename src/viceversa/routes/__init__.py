"""Ways of computing a trained generator; all but `eager` are faster somewhere, and less exact.

A route is a function from float32 (B, in, H, W) in [-1, 1] to float32 (B, out, H, W): it takes the network's place
where pictures are translated. Heights and widths are those that the network takes.
"""

from __future__ import annotations

from collections.abc import Callable

from viceversa.routes import exported, native, openvino
from viceversa.routes.base import EXACT, Run, Source, psnr, random

__all__ = ["EXACT", "ROUTES", "Run", "Source", "measurable", "open_route", "psnr", "random"]

ROUTES: dict[str, Callable[[Source], Run]] = {
    "eager": native.eager,
    "bf16": native.bf16,
    "onnx": exported.onnx,
    "openvino": openvino.openvino,
    "int8": openvino.int8,
}


def open_route(name: str, source: Source) -> Run:
    """Return a network by one of `ROUTES`; ValueError, with the remedy, if that does not go here."""
    if name not in ROUTES:
        raise ValueError(f"route {name} is not known: use one of {', '.join(ROUTES)}")
    if name != "eager" and random(source.net):
        raise ValueError(f"route {name}: this generator draws random numbers (inference=original); use route eager")
    if name not in native.DEVICES and source.device.type != "cpu":
        raise ValueError(f"route {name} computes on the CPU: add --device cpu, or use route bf16")
    return ROUTES[name](source)


def measurable(source: Source) -> list[str]:
    """Return the routes worth a trial beside `eager`: those that go here, and need nothing to be calibrated."""
    if random(source.net) or source.device.type == "mps":
        return []
    return [
        "bf16",
        *(name for name, there in (("openvino", openvino.there), ("onnx", exported.there)) if there(source)),
    ]
