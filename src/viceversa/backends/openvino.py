"""OpenVINO: bfloat16 where the CPU has it, else float32; and 8-bit integers."""

from __future__ import annotations

import hashlib
import importlib
import io
import logging
import sys
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from viceversa.backends.onnx import PACKAGES, digest, kept, onnx_file
from viceversa.backends.pytorch import Backend, TrainedGenerator, require

FEWEST = 8
"""Examples that 8-bit ranges must be seen on."""
LEFT_OUT = 1e-4
CONVOLUTIONS = ("Convolution", "ConvolutionBackpropData")
SIZES = 8
"""Sizes of batches compiled for themselves, a tenth faster; further ones share a form for all sizes."""


def openvino(trained: TrainedGenerator) -> Backend:
    """The network in the CPU's fastest floating-point type."""
    require("openvino", "openvino", "openvino", *PACKAGES)
    return compiled(onnx_file(trained))


def int8(trained: TrainedGenerator) -> Backend:
    """Convolutions in 8-bit integers, ranges as the examples have them; the rest in floating point."""
    require("int8", "openvino", "openvino", "nncf", *PACKAGES)
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
        ov = imported("openvino")
        model = quantise(ov.Core().read_model(onnx_file(trained)), trained.examples)
        ov.save_model(model, folder / "model.xml", compress_to_fp16=False)

    return kept(f"{name}-int8-{seen.hexdigest()[:12]}", write) / "model.xml"


def quantise(model: Any, examples: Sequence[Tensor]) -> Any:
    """Return an OpenVINO model with its convolutions in 8 bits, but for the first and the last.

    These two see and make pixels, where each of the 256 levels counts, and cost little. Ranges leave out one value in
    ten thousand at each end: instance normalisation has long tails, and the whole of them would leave the rest few
    levels.
    """
    nncf = imported("nncf")
    ranges = importlib.import_module("nncf.quantization.range_estimator")
    end = ranges.StatisticsCollectorParameters(
        statistics_type=ranges.StatisticsType.QUANTILE,
        aggregator_type=ranges.AggregatorType.MEAN,
        quantile_outlier_prob=LEFT_OUT,
    )
    nncf.set_log_level(logging.ERROR)
    convolutions = [op for op in model.get_ordered_ops() if op.get_type_name() in CONVOLUTIONS]
    with redirect_stdout(io.StringIO()):  # it draws bars
        return nncf.quantize(
            model,
            nncf.Dataset([x.cpu().contiguous().numpy() for x in examples]),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(examples),
            ignored_scope=nncf.IgnoredScope(names=sorted({convolutions[i].get_friendly_name() for i in (0, -1)})),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                activations_range_estimator_params=ranges.RangeEstimatorParameters(min=end, max=end)
            ),
        )


def imported(name: str) -> Any:
    """Return Intel's package, without the one by which it sends word of its use to Intel."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def compiled(path: Path) -> Backend:
    """Return a network compiled for each of the first `SIZES` shapes of batches, and then once for all."""
    core = imported("openvino").Core()
    model = core.read_model(path)
    threads = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY"}
    forms: dict[tuple[int, ...], Any] = {}

    def run(x: Tensor) -> Tensor:
        shape = tuple(x.shape)
        if shape not in forms and len(forms) >= SIZES:
            shape = ()  # any
        if shape not in forms:
            form = model.clone()
            if shape:
                form.reshape(list(shape))
            forms[shape] = core.compile_model(form, "CPU", threads)
        return torch.from_numpy(forms[shape](x.contiguous().numpy())[0].copy())

    return run
