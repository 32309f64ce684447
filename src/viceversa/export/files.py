"""Writing one exported file: in a folder of its own, so that it appears when its proof has held, or not at all."""

from __future__ import annotations

import copy
import os
import tempfile
from pathlib import Path

from viceversa.backends import draws_random_numbers, load_network
from viceversa.backends.exported import write_exported
from viceversa.export import Exported, ExportOptions
from viceversa.export.proof import failure, images_of, prove
from viceversa.nets.weights import load_generator, save_generator


def export_file(weights: Path, out: Path, model: Path, options: ExportOptions) -> Exported:
    """Write one generator to `out`, prove it, and return the proof; raise ValueError, with the remedy, if it fails."""
    net, card = load_generator(weights)
    if draws_random_numbers(net):
        raise ValueError(f"{weights}: draws random numbers (inference=original), which no file can repeat")
    precision, pixels = options.precision, options.with_io
    proved, calibrated = images_of(model, card, options.images)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=out.parent) as folder:
        path = Path(folder) / out.name
        if path.suffix == ".safetensors":
            save_generator(path, copy.deepcopy(net).half() if precision == "fp16" else net, card)
        else:
            write_exported(path, net, card, precision, pixels=pixels, licence=options.licence, examples=calibrated)
        files = list(Path(folder).iterdir())
        proof = prove(net, load_network(path)[0], proved, pixels, sum(file.stat().st_size for file in files))
        if wrong := failure(proof, precision, pixels):
            remedy = "" if precision == "fp32" else "; try --precision fp32, or more --images"
            raise ValueError(f"{out}: not written, as its proof failed: {wrong}{remedy}")
        for file in files:
            os.replace(file, out.with_name(file.name))
    return Exported(out, card.direction, proof)
