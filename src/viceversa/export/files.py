"""Writing one exported file: in a folder of its own, so that it appears when its proof has held, or not at all."""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from viceversa.backends import draws_random_numbers, load_exported
from viceversa.backends.exported import metadata
from viceversa.backends.onnx import quantise_onnx, to_levels, write_onnx
from viceversa.backends.openvino import write_openvino
from viceversa.export import Exported, ExportOptions, Format
from viceversa.export.proof import failure, images_of, prove
from viceversa.nets import Generator
from viceversa.nets.weights import Card, load_generator, save_generator


def export_file(form: Format, weights: Path, out: Path, model: Path, options: ExportOptions) -> Exported:
    """Write one generator to `out`, prove it, and return the proof; raise ValueError, with the remedy, if it fails."""
    net, card = load_generator(weights)
    if draws_random_numbers(net):
        raise ValueError(f"{weights}: draws random numbers (inference=original), which no file can repeat")
    proved, calibrated = images_of(model, card, options.images)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=out.parent) as folder:
        path = Path(folder) / out.name
        write(form, path, net, card, calibrated, options)
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
        exported = (load_generator if form == "safetensors" else load_exported)(path)[0]
        proof = prove(net, exported, proved, options.with_io, size)
        if wrong := failure(proof, options.precision, options.with_io):
            remedy = "" if options.precision == "fp32" else "; try --precision fp32, or more --images"
            raise ValueError(f"{out}: not written, as its proof failed: {wrong}{remedy}")
        for file in Path(folder).iterdir():
            os.replace(file, out.with_name(file.name))
    return Exported(out, card.direction, proof)


def write(
    form: Format, path: Path, net: Generator, card: Card, calibrated: Sequence[Tensor], options: ExportOptions
) -> None:
    """Write a generator in one of the formats; OpenVINO's goes by way of ONNX."""
    half = options.precision == "fp16"
    if form == "safetensors":
        save_generator(path, copy.deepcopy(net).half() if half else net, card)
        return
    graph = path.with_name("graph.onnx")
    facts = metadata(card, net, options.precision, options.with_io, options.licence)
    as_half = half and form == "onnx"  # OpenVINO halves what it saves
    write_onnx(graph, net, card.in_channels, half=as_half, pixels=options.with_io, metadata=facts)
    if options.precision == "int8":
        quantise_onnx(graph, graph, [to_levels(x).permute(0, 2, 3, 1) if options.with_io else x for x in calibrated])
    if form == "openvino":
        write_openvino(graph, path, half=half)
        graph.unlink()
    else:
        graph.rename(path)
