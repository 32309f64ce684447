"""Generators as ONNX and OpenVINO files: written, labelled, and run by the libraries of these formats."""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from pydantic import TypeAdapter
from torch import Tensor

from viceversa.backends.onnx import onnx_session, quantise_onnx, to_levels, write_onnx
from viceversa.data.image_data import normalise
from viceversa.nets.base import Generator
from viceversa.nets.weights import FORMAT, Card, load_generator

LIBRARIES = {".onnx": ("onnxruntime", "onnx"), ".xml": ("openvino", "openvino")}
"""By the suffix of an exported file, the package that runs it, and the extra of ours that installs it."""
SIZES = 8
"""Sizes of batches that OpenVINO compiles for themselves, a tenth faster; further ones share a form for all sizes."""
Precision: TypeAlias = Literal["fp32", "fp16", "int8"]


class ExportedGenerator(Generator):
    """A network in an ONNX or OpenVINO file, run on the CPU by the library of its format. It has no parameters."""

    def __init__(self, backend: Callable[[Tensor], Tensor], multiple: int, size: int | None, pixels: bool) -> None:
        super().__init__()
        self.backend, self.multiple, self.size, self.pixels = backend, multiple, size, pixels
        self.each_alone = True

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) in [-1, 1] to (B, out, H, W), rounded to 255 levels by a file that takes and returns pixels."""
        if not self.pixels:
            return self.backend(x.float().cpu()).to(x.device)
        levels = to_levels(x.float().cpu()).permute(0, 2, 3, 1)
        return normalise(self.backend(levels).permute(0, 3, 1, 2)).to(x.device)


def write_exported(
    path: Path,
    net: Generator,
    card: Card,
    precision: Precision = "fp32",
    *,
    pixels: bool = False,
    licence: str | None = None,
    examples: Sequence[Tensor] = (),
) -> None:
    """Write a generator as an .onnx or .xml file; OpenVINO's goes by way of ONNX.

    `pixels`: the file takes and returns uint8 (B, H, W, C). `examples`, (1, in, H, W), are what int8 is calibrated on.
    Raises ValueError for a network that cannot be exported.
    """
    import onnx

    to_onnx = path.suffix == ".onnx"
    graph = path.with_suffix(".onnx")
    write_onnx(graph, net, card.in_channels, half=precision == "fp16" and to_onnx, pixels=pixels)
    if precision == "int8":
        quantise_onnx(graph, [to_levels(x).permute(0, 2, 3, 1) if pixels else x for x in examples])
    facts = {
        FORMAT: json.dumps(asdict(card), sort_keys=True),
        "direction": card.direction,
        "input": "uint8 (B, H, W, C)" if pixels else "float32 (B, C, H, W) in [-1, 1]",
        "size_multiple": str(net.multiple),
        "size": str(net.size or "any"),
        "precision": precision,
        "trained": json.dumps(card.trained, sort_keys=True),
        "licence": licence or "not stated",
    }
    model = onnx.load(graph)
    onnx.helper.set_model_props(model, facts)
    onnx.save(model, graph)
    if not to_onnx:
        ov = openvino()
        ov.save_model(ov.Core().read_model(graph), path, compress_to_fp16=precision == "fp16")
        graph.unlink()


def load_network(path: Path) -> tuple[Generator, Card]:
    """Return the generator of a weights file or of an exported one, and its card; ValueError of any other file."""
    if path.suffix not in LIBRARIES:
        return load_generator(path)
    library, extra = LIBRARIES[path.suffix]
    if find_spec(library) is None:
        raise ValueError(f'{path}: {library} is not installed; pip install "viceversa[{extra}]"')
    try:
        backend, facts = onnx_session(path) if path.suffix == ".onnx" else openvino_session(path)
        card = TypeAdapter(Card).validate_python(json.loads(facts[FORMAT]), strict=False)
        size = None if facts["size"] == "any" else int(facts["size"])
        net = ExportedGenerator(backend, int(facts["size_multiple"]), size, facts["input"].startswith("uint8"))
    except Exception:  # each library has its own kinds
        raise ValueError(f"{path}: damaged, or not written by viceversa export") from None
    return net, card


def openvino() -> Any:
    """Return Intel's package, without the one by which it sends word of its use to Intel."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("openvino")


def openvino_session(path: Path) -> tuple[Callable[[Tensor], Tensor], dict[str, str]]:
    """Return what runs an OpenVINO file, and its metadata.

    A file of precision fp32 is computed in that, any other in the CPU's fastest type. The network is compiled for each
    of the first `SIZES` shapes of batches, and then once for all.
    """
    core = openvino().Core()
    model = core.read_model(path)
    facts = {key: str(entry.value) for key, entry in model.get_rt_info()["framework"].items()}  # as ONNX had it
    options = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY"}
    if facts["precision"] == "fp32":
        options["INFERENCE_PRECISION_HINT"] = "f32"
    forms: dict[tuple[int, ...], Any] = {}

    def run(x: Tensor) -> Tensor:
        shape = tuple(x.shape)
        if shape not in forms and len(forms) >= SIZES:
            shape = ()  # any
        if shape not in forms:
            form = model.clone()
            if shape:
                form.reshape(list(shape))
            forms[shape] = core.compile_model(form, "CPU", options)
        # a request of its own, as other threads may compute at the same time
        return torch.from_numpy(forms[shape].infer_new_request(x.contiguous().numpy())[0].copy())

    return run, facts
