"""ONNX: a file that holds a network without our code, and ONNX Runtime, which runs it."""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from viceversa.data.image_data import normalise
from viceversa.nets import Generator

LARGEST = 2**14
"""Pixels of a side that an exported network takes, at most."""
CONVOLUTIONS = ["Conv", "ConvTranspose"]
LEFT_OUT = 1e-4
"""Share of values that 8-bit ranges leave out: instance normalisation has long tails."""


def onnx_session(path: Path) -> tuple[Callable[[Tensor], Tensor], dict[str, str]]:
    """Return what runs an ONNX file on the CPU, with as many threads as torch has, and the file's metadata."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(x: Tensor) -> Tensor:
        (result,) = session.run(None, {"x": x.contiguous().numpy()})
        return torch.from_numpy(result)

    return run, dict(session.get_modelmeta().custom_metadata_map)


class WithIO(nn.Module):
    """A generator whose file takes other numbers than it computes with.

    `half`: it computes in float16. `pixels`: it takes and returns uint8 (B, H, W, C), as images are decoded.
    """

    def __init__(self, net: Generator, *, half: bool = False, pixels: bool = False) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).half() if half else net
        self.half_precision, self.pixels = half, pixels

    def forward(self, x: Tensor) -> Tensor:
        """From float32 (B, C, H, W) in [-1, 1], or pixels, to the same."""
        if self.pixels:
            x = normalise(x.permute(0, 3, 1, 2))
        y = self.net(x.half()).float() if self.half_precision else self.net(x)
        return to_levels(y).permute(0, 2, 3, 1) if self.pixels else y


def to_levels(batch: Tensor) -> Tensor:
    """Return a batch in [-1, 1] as uint8, rounded to the nearest level: the way back from `normalise`."""
    return (batch.clamp(-1, 1) + 1).mul(127.5).round().to(torch.uint8)


def write_onnx(path: Path, net: Generator, in_channels: int, *, half: bool = False, pixels: bool = False) -> None:
    """Write a network as one ONNX file: x to y, for any batch and all the heights and widths that it takes.

    For `half` and `pixels` see `WithIO`. Raises ValueError for a network that cannot be exported so.
    """
    from torch.export import Dim  # half a second

    side = net.size or net.multiple * max(2, -(-64 // net.multiple))
    x = torch.zeros(2, in_channels, side, side)
    height, width = (1, 2) if pixels else (2, 3)
    shapes: dict[int, Any] = {0: Dim("batch", min=1, max=2**12)}
    if net.size is None:
        for dim, name in ((height, "height"), (width, "width")):
            steps = Dim(name, min=1, max=LARGEST // net.multiple)
            shapes[dim] = net.multiple * steps if net.multiple > 1 else steps
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how torch exports
        try:
            program: Any = torch.onnx.export(
                WithIO(net.cpu(), half=half, pixels=pixels).eval(),
                (to_levels(x).permute(0, 2, 3, 1) if pixels else x,),
                dynamo=True,
                dynamic_shapes=(shapes,),
                input_names=["x"],
                output_names=["y"],
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(f"this generator cannot be exported to ONNX ({reason})") from None
    if any(isinstance(program.model.graph.inputs[0].shape[dim], int) for dim in shapes):
        raise ValueError("this generator can be exported to ONNX for one size only")
    program.save(path, external_data=False)


def quantise_onnx(path: Path, examples: Sequence[Tensor]) -> None:
    """Bring an ONNX file's convolutions to 8 bits, but for the first and the last. Its metadata are lost.

    These two see and make pixels, where each of the 256 levels counts, and cost little. Weights have a range for each
    channel; those of values are seen on the examples, which the file must take as they are.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, quantize_static

    class Examples(CalibrationDataReader):  # type: ignore[misc]
        """Hands out the examples one by one: what the network makes of all of them would fill the memory."""

        def __len__(self) -> int:
            return len(examples)

        def set_range(self, start_index: int, end_index: int) -> None:
            self.left = iter(examples[start_index:end_index])

        def get_next(self) -> dict[str, Any] | None:
            x = next(self.left, None)
            return None if x is None else {"x": x.contiguous().numpy()}

    convolutions = [node.name for node in onnx.load(path).graph.node if node.op_type in CONVOLUTIONS]
    logging.disable(logging.WARNING)  # of what is left to us
    try:
        with redirect_stdout(io.StringIO()):
            quantize_static(
                path,
                path,
                Examples(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=CONVOLUTIONS,
                nodes_to_exclude=[convolutions[0], convolutions[-1]],
                per_channel=True,
                calibrate_method=CalibrationMethod.Percentile,
                extra_options={"CalibPercentile": 100 * (1 - LEFT_OUT), "CalibStridedMinMax": 1},
            )
    finally:
        logging.disable(logging.NOTSET)
