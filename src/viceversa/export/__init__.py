"""`viceversa export`: a trained generator as a file for other programs, with a proof of how exact it is.

Mistakes that can be found without the model are reported before torch is imported, which takes seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from viceversa.config import Direction
from viceversa.options import DistillOptions, ExportOptions, Format
from viceversa.paths import weights_file

if TYPE_CHECKING:
    from viceversa.export.proof import Proof

__all__ = ["DistillOptions", "ExportOptions", "Exported", "export_model"]

ONNX = ("onnx", "onnxscript", "onnxruntime")
FORMATS: dict[Format, tuple[str, tuple[str, ...]]] = {
    "onnx": (".onnx", ONNX),
    "openvino": (".xml", (*ONNX, "openvino")),
    "safetensors": (".safetensors", ()),
    "web": ("", ONNX),
}
"""Suffix, and the packages that are needed."""


@dataclass(frozen=True)
class Exported:
    """A file that was written, and its proof."""

    path: Path
    direction: Direction
    proof: Proof


def export_model(model: Path, out: Path, options: ExportOptions = ExportOptions()) -> list[Exported]:
    """Write a run's generator, or that of a weights file, in another format; return what was written.

    The model is only read, and nothing is left behind if the file does not compute what it should.
    """
    form = _check(model, out, options)
    weights = weights_file(model, options.direction, ema=options.ema, best=options.best)  # or say what is missing

    if form == "web":
        from viceversa.export.web import export_web

        return export_web(model, out, options)
    from viceversa.export.proof import export_file
    from viceversa.nets.weights import load_generator

    return [export_file(*load_generator(weights), out, model, options)]


def _check(model: Path, out: Path, options: ExportOptions) -> Format:
    """Return the format; raise ValueError, with the remedy, for what does not go together."""
    form = options.to or next((name for name, (suffix, _) in FORMATS.items() if suffix == out.suffix), None)
    if form is None or out.suffix != FORMATS[form][0]:
        ends = [f"{suffix or 'no suffix'} ({name})" for name, (suffix, _) in FORMATS.items() if form in (None, name)]
        raise ValueError(f"{out}: an export ends in {', '.join(ends)}")
    if model.suffix in (".onnx", ".xml"):
        raise ValueError(f"{model}: is exported already; name the run or the weights file that it was made of")
    if out.exists() and not options.overwrite:
        raise ValueError(f"{out}: exists already; --overwrite replaces it")
    if model.is_dir() and out.resolve().is_relative_to(model.resolve()):
        raise ValueError(f"{out}: lies in the run, which stays as it is; name a place outside of it")
    if form == "safetensors" and (options.precision == "int8" or options.with_io):
        raise ValueError("a weights file holds no graph: --precision int8 and --with-io go with --to onnx or openvino")
    if form == "web" and options.with_io:
        raise ValueError("the page normalises by itself; omit --with-io")
    if form != "web" and options.ort_web:
        raise ValueError("--ort-web goes with --to web")
    for package in FORMATS[form][1]:
        if find_spec(package) is None:
            extra = "openvino" if form == "openvino" else "onnx"
            raise ValueError(f'--to {form}: {package} is not installed; pip install "viceversa[{extra}]"')
    if options.images and not options.images.is_dir():
        raise ValueError(f"{options.images}: there is no such folder of images")
    if not options.images and model.is_file():
        raise ValueError(f"{model}: has no images to prove the export on; name some with --images FOLDER")
    return form
