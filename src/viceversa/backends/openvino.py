"""OpenVINO: bfloat16 where the CPU has it, else float32; and 8-bit integers."""

from __future__ import annotations

import hashlib
import importlib
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from viceversa.backends.onnx import PACKAGES, digest, kept, onnx_file, quantise_onnx
from viceversa.backends.pytorch import Backend, TrainedGenerator, require

FEWEST = 8
"""Examples that 8-bit ranges must be seen on."""
SIZES = 8
"""Sizes of batches compiled for themselves, a tenth faster; further ones share a form for all sizes."""


def openvino(trained: TrainedGenerator) -> Backend:
    """The network in the CPU's fastest floating-point type."""
    require("openvino", "openvino", "openvino", *PACKAGES)
    return compiled(onnx_file(trained))


def int8(trained: TrainedGenerator) -> Backend:
    """Convolutions in 8-bit integers, ranges as the examples have them; the rest in floating point."""
    require("int8", "openvino", "openvino", "onnxruntime", *PACKAGES)
    if len(trained.examples) < FEWEST:
        found = len(trained.examples)
        raise ValueError(
            f"backend int8 sets its ranges on {FEWEST} images or more, not {found}; name some with --calibrate"
        )
    return compiled(quantised(trained))


def quantised(trained: TrainedGenerator) -> Path:
    """Return the network in 8 bits as these examples make it, from the cache if they did before."""
    name = digest(trained)
    seen = hashlib.sha256(name.encode())
    for x in trained.examples:
        seen.update(x.cpu().contiguous().numpy().tobytes())

    def write(folder: Path) -> None:
        quantise_onnx(onnx_file(trained), folder / "model.onnx", trained.examples)

    return kept(f"{name}-int8-{seen.hexdigest()[:12]}", write) / "model.onnx"


def imported(name: str) -> Any:
    """Return Intel's package, without the one by which it sends word of its use to Intel."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def write_openvino(source: Path, target: Path, *, half: bool = False) -> None:
    """Write an ONNX file, metadata included, as OpenVINO's .xml and .bin; with `half`, weights in float16."""
    ov = imported("openvino")
    ov.save_model(ov.Core().read_model(source), target, compress_to_fp16=half)


def openvino_session(path: Path) -> tuple[Backend, dict[str, str]]:
    """Return what runs an OpenVINO file, and its metadata; a file of precision fp32 is computed in that."""
    kept_of_onnx = imported("openvino").Core().read_model(path).get_rt_info()["framework"]
    facts = {key: str(entry.value) for key, entry in kept_of_onnx.items()}
    return compiled(path, exact=facts["precision"] == "fp32"), facts


def compiled(path: Path, exact: bool = False) -> Backend:
    """Return a network compiled for each of the first `SIZES` shapes of batches, and then once for all.

    `exact`: in float32, where the CPU would be faster in bfloat16.
    """
    core = imported("openvino").Core()
    model = core.read_model(path)
    options = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY"}
    if exact:
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

    return run
