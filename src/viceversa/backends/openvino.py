"""OpenVINO: files of float32, float16 and 8-bit integers, run in bfloat16 where the CPU has it."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

SIZES = 8
"""Sizes of batches compiled for themselves, a tenth faster; further ones share a form for all sizes."""


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


def openvino_session(path: Path) -> tuple[Callable[[Tensor], Tensor], dict[str, str]]:
    """Return what runs an OpenVINO file, and its metadata.

    A file of precision fp32 is computed in that, any other in the CPU's fastest type. The network is compiled for each
    of the first `SIZES` shapes of batches, and then once for all.
    """
    core = imported("openvino").Core()
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
