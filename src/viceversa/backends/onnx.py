"""ONNX: a file that holds a network without our code, and ONNX Runtime, which runs it."""

from __future__ import annotations

import atexit
import copy
import hashlib
import io
import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from viceversa import __version__
from viceversa.backends.pytorch import Backend, TrainedGenerator, require
from viceversa.data.image_data import normalise
from viceversa.files import cache_folder, locked, replacing_folder
from viceversa.nets import Generator

PACKAGES = ("onnx", "onnxscript")
LARGEST = 2**14
"""Pixels of a side that an exported network takes, at most."""
CONVOLUTIONS = ["Conv", "ConvTranspose"]
LEFT_OUT = 1e-4
"""Share of values that 8-bit ranges leave out: instance normalisation has long tails."""


def onnx(trained: TrainedGenerator) -> Backend:
    """Float32 in ONNX Runtime, with as many threads as torch has."""
    require("onnx", "onnx", "onnxruntime", *PACKAGES)
    return onnx_session(onnx_file(trained))[0]


def onnx_session(path: Path) -> tuple[Backend, dict[str, str]]:
    """Return what runs an ONNX file on the CPU, and the file's metadata."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(x: Tensor) -> Tensor:
        (result,) = session.run(None, {"x": x.contiguous().numpy()})
        return torch.from_numpy(result)

    return run, dict(session.get_modelmeta().custom_metadata_map)


def onnx_file(trained: TrainedGenerator) -> Path:
    """Return the exported network, from the cache if it was exported before."""

    def write(folder: Path) -> None:
        write_onnx(folder / "model.onnx", trained.net, trained.card.in_channels)

    return kept(digest(trained), write) / "model.onnx"


def kept(name: str, write: Callable[[Path], None]) -> Path:
    """Return a folder of the cache that `write` has filled, now or earlier; a temporary one if there is no cache."""
    try:
        folder = cache_folder() / "backends" / name
        with locked(folder):
            if not folder.is_dir():
                with replacing_folder(folder) as temporary:
                    write(temporary)
    except (OSError, RuntimeError):  # read-only, or no home folder
        folder = Path(tempfile.mkdtemp(prefix="viceversa-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        write(folder)
    return folder


def digest(trained: TrainedGenerator) -> str:
    """Return a name for a generator that no other one has: its weights and all that decides what is made of them."""
    card = trained.card
    described = [card.generator, card.in_channels, card.out_channels, card.size, card.inference]
    seen = hashlib.sha256(json.dumps([described, __version__, torch.__version__], sort_keys=True).encode())
    for name, tensor in trained.net.state_dict().items():
        seen.update(name.encode())
        seen.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return seen.hexdigest()[:24]


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


def write_onnx(
    path: Path,
    net: Generator,
    in_channels: int,
    *,
    half: bool = False,
    pixels: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a network as one ONNX file: x to y, for any batch and all the heights and widths that it takes.

    For `half` and `pixels` see `WithIO`. Raises ValueError for a network that cannot be exported so.
    """
    side = net.size or net.multiple * max(2, -(-64 // net.multiple))
    x = torch.zeros(2, in_channels, side, side)
    if pixels:
        x = to_levels(x).permute(0, 2, 3, 1)
    sides = (1, 2) if pixels else (2, 3)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how torch exports
        try:
            torch.onnx.export(
                WithIO(net.cpu(), half=half, pixels=pixels).eval() if half or pixels else net.cpu(),
                (x,),
                str(path),
                dynamo=True,
                dynamic_shapes=(_dynamic_shapes(net, sides),),
                input_names=["x"],
                output_names=["y"],
                external_data=False,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(f"this generator cannot be exported to ONNX ({reason}); use eager or bf16") from None
    _finish(path, net, sides, metadata or {})


def _dynamic_shapes(net: Generator, sides: tuple[int, int]) -> dict[int, Any]:
    """Return which dimensions of the input may change, and in which steps."""
    from torch.export import Dim  # half a second

    shapes: dict[int, Any] = {0: Dim("batch", min=1, max=2**12)}
    if net.size is None:
        for dim, name in zip(sides, ("height", "width"), strict=True):
            step = Dim(f"{name}_steps" if net.multiple > 1 else name, min=1, max=LARGEST // net.multiple)
            shapes[dim] = net.multiple * step if net.multiple > 1 else step
    return shapes


def _finish(path: Path, net: Generator, sides: tuple[int, int], metadata: Mapping[str, str]) -> None:
    """Write the metadata; raise ValueError if the file takes only the size of batches that it was exported with."""
    import onnx

    model = onnx.load(path)
    dims = model.graph.input[0].type.tensor_type.shape.dim
    if any(dims[place].HasField("dim_value") for place in ((0,) if net.size else (0, *sides))):
        raise ValueError("this generator can be exported to ONNX for one size only; use eager or bf16")
    if metadata:
        onnx.helper.set_model_props(model, dict(metadata))
        onnx.save(model, path)


@contextmanager
def without_warnings() -> Iterator[None]:
    """Let libraries that log to the root logger log errors only while the block runs."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def quantise_onnx(source: Path, target: Path, examples: Sequence[Tensor]) -> None:
    """Write an ONNX file with its convolutions in 8 bits, but for the first and the last.

    These two see and make pixels, where each of the 256 levels counts, and cost little. Weights have a range for each
    channel; those of values are seen on the examples, which the file must take as they are.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, quantize_static

    class Examples(CalibrationDataReader):  # type: ignore[misc]
        """Hands out the examples one by one: what the network makes of all of them would fill the memory."""

        left: Iterator[Tensor]

        def __len__(self) -> int:
            return len(examples)

        def set_range(self, start_index: int, end_index: int) -> None:
            self.left = iter(examples[start_index:end_index])

        def get_next(self) -> dict[str, Any] | None:
            x = next(self.left, None)
            return None if x is None else {"x": x.contiguous().numpy()}

    model = onnx.load(source)
    convolutions = [node.name for node in model.graph.node if node.op_type in CONVOLUTIONS]
    with redirect_stdout(io.StringIO()), without_warnings():  # of what it does, and of what it leaves to us
        quantize_static(
            source,
            target,
            Examples(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=CONVOLUTIONS,
            nodes_to_exclude=[convolutions[0], convolutions[-1]],
            per_channel=True,
            calibrate_method=CalibrationMethod.Percentile,
            extra_options={"CalibPercentile": 100 * (1 - LEFT_OUT), "CalibStridedMinMax": 1},
        )
    quantised = onnx.load(target)
    onnx.helper.set_model_props(quantised, {entry.key: entry.value for entry in model.metadata_props})
    onnx.save(quantised, target)
