"""ONNX: a file that holds a network without our code, and ONNX Runtime, which runs it."""

from __future__ import annotations

import atexit
import hashlib
import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from viceversa import __version__
from viceversa.backends.pytorch import Backend, TrainedGenerator, require
from viceversa.files import cache_folder, locked, replacing_folder
from viceversa.nets import Generator

PACKAGES = ("onnx", "onnxscript")
LARGEST = 2**14
"""Pixels of a side that an exported network takes, at most."""


def onnx(trained: TrainedGenerator) -> Backend:
    """Float32 in ONNX Runtime, with as many threads as torch has."""
    require("onnx", "onnx", "onnxruntime", *PACKAGES)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(onnx_file(trained), options, providers=["CPUExecutionProvider"])

    def run(x: Tensor) -> Tensor:
        (result,) = session.run(None, {"x": x.contiguous().numpy()})
        return torch.from_numpy(result)

    return run


def onnx_file(trained: TrainedGenerator) -> Path:
    """Return the exported network, from the cache if it was exported before."""
    write = partial(export, trained.net, trained.card.in_channels)
    return kept(digest(trained), lambda folder: write(folder / "model.onnx")) / "model.onnx"


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


def export(net: Generator, in_channels: int, path: Path) -> None:
    """Write a network as one ONNX file: x (B, in, H, W) to y, for any B and all the H and W that it takes.

    Raises ValueError for a network that cannot be exported so.
    """
    side = net.size or net.multiple * max(2, -(-64 // net.multiple))
    x = torch.zeros(2, in_channels, side, side)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how torch exports
        try:
            torch.onnx.export(
                net.cpu(),
                (x,),
                str(path),
                dynamo=True,
                dynamic_shapes=(_dynamic_shapes(net),),
                input_names=["x"],
                output_names=["y"],
                external_data=False,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(f"this generator cannot be exported to ONNX ({reason}); use eager or bf16") from None
    _check_dynamic(path, net)


def _dynamic_shapes(net: Generator) -> dict[int, Any]:
    """Return which dimensions of the input may change, and in which steps."""
    from torch.export import Dim  # half a second

    shapes: dict[int, Any] = {0: Dim("batch", min=1, max=2**12)}
    if net.size is None:
        for dim, name in ((2, "height"), (3, "width")):
            step = Dim(f"{name}_steps" if net.multiple > 1 else name, min=1, max=LARGEST // net.multiple)
            shapes[dim] = net.multiple * step if net.multiple > 1 else step
    return shapes


def _check_dynamic(path: Path, net: Generator) -> None:
    """Raise ValueError if an exported network takes only the size of batches that it was exported with."""
    import onnx

    dims = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    free = (0, 2, 3) if net.size is None else (0,)
    if any(dims[place].HasField("dim_value") for place in free):
        raise ValueError("this generator can be exported to ONNX for one size only; use eager or bf16")
