"""Exported files as generators: what their metadata says, and how they are run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import TypeAdapter
from torch import Tensor

from viceversa.backends.onnx import onnx_session, to_levels
from viceversa.backends.openvino import openvino_session
from viceversa.backends.pytorch import Backend, require
from viceversa.data.image_data import normalise
from viceversa.nets.base import Generator
from viceversa.nets.weights import FORMAT, Card

EXPORTED = {".onnx": "onnx", ".xml": "openvino"}
"""Suffixes of exported files that are run by other libraries, and their formats."""
Precision: TypeAlias = Literal["fp32", "fp16", "int8"]


class ExportedGenerator(Generator):
    """A network in an ONNX or OpenVINO file, run on the CPU by the library of its format. It has no parameters."""

    def __init__(self, backend: Backend, multiple: int, size: int | None, pixels: bool) -> None:
        super().__init__()
        self.backend, self.multiple, self.size, self.pixels = backend, multiple, size, pixels
        self.each_alone = True

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) in [-1, 1] to (B, out, H, W), rounded to 255 levels by a file that takes and returns pixels."""
        if not self.pixels:
            return self.backend(x.float().cpu()).to(x.device)
        levels = to_levels(x.float().cpu()).permute(0, 2, 3, 1)
        return normalise(self.backend(levels).permute(0, 3, 1, 2)).to(x.device)


def metadata(card: Card, net: Generator, precision: Precision, pixels: bool, licence: str | None) -> dict[str, str]:
    """Return what an exported file says of itself: for `load_exported`, and for people who open it elsewhere."""
    return {
        FORMAT: json.dumps(asdict(card), sort_keys=True),
        "direction": card.direction,
        "input": "uint8 (B, H, W, C)" if pixels else "float32 (B, C, H, W) in [-1, 1]",
        "size_multiple": str(net.multiple),
        "size": str(net.size or "any"),
        "precision": precision,
        "trained": json.dumps(card.trained, sort_keys=True),
        "licence": licence or "not stated",
    }


def load_exported(path: Path) -> tuple[ExportedGenerator, Card]:
    """Return the generator in an .onnx or .xml file that `viceversa export` wrote, and its card.

    Raises ValueError, with the remedy, for any other file, and if the library that runs it is not installed.
    """
    if EXPORTED[path.suffix] == "onnx":
        require(f"of {path}", "onnx", "onnxruntime")
    else:
        require(f"of {path}", "openvino", "openvino")
    try:
        backend, facts = onnx_session(path) if path.suffix == ".onnx" else openvino_session(path)
        card = TypeAdapter(Card).validate_python(json.loads(facts[FORMAT]), strict=False)
        size = None if facts["size"] == "any" else int(facts["size"])
        net = ExportedGenerator(backend, int(facts["size_multiple"]), size, facts["input"].startswith("uint8"))
    except Exception:  # each library has its own kinds
        raise ValueError(f"{path}: damaged, or not written by viceversa export") from None
    return net, card
