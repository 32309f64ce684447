"""What commands can be told: classes whose fields are options, on the command line and in Python.

The docstring of a field is its help; a dictionary in its annotation holds what else the command line has to know.
Nothing is imported here that a help text would have to wait for.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

Direction: TypeAlias = Literal["AtoB", "BtoA"]
Format: TypeAlias = Literal["onnx", "openvino", "safetensors", "web"]


@cache
def docs_of(section: type) -> dict[str, str]:
    """Return the docstring below each attribute of a dataclass, inherited ones included."""
    found = docs_of(section.__base__) if section.__base__ not in (object, None) else dict[str, str]()
    body = ast.parse(textwrap.dedent(inspect.getsource(section))).body[0]
    assert isinstance(body, ast.ClassDef)
    for attribute, doc in zip(body.body, body.body[1:], strict=False):
        if isinstance(attribute, ast.AnnAssign) and isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant):
            assert isinstance(attribute.target, ast.Name)
            found[attribute.target.id] = " ".join(str(doc.value.value).split())
    return found


@dataclass(frozen=True)
class TranslateOptions:
    """How to translate. The defaults make one translation of each image, at its own size."""

    direction: Direction | None = None
    """AtoB (default) or BtoA."""
    overwrite: bool = False
    """Replace outputs that exist; without, they are left as they are."""
    size: Annotated[int | None, {"metavar": "N", "min": 1}] = None
    """Resize the short side to N pixels first."""
    strength: Annotated[float, {"metavar": "0..1", "min": 0, "max": 1}] = 1.0
    """How much to change the input."""
    mask: Annotated[Path | None, {"metavar": "FILE|FOLDER"}] = None
    """Change only what is white there: in one mask for all, or in the image of the input's name."""
    feather: Annotated[int, {"metavar": "N", "min": 0}] = 8
    """Pixels inside the edge of the mask within which its effect grows from nothing to all."""
    match_color: bool = False
    """Keep the input's colours; change only brightness."""
    format: Annotated[str | None, {"metavar": "SUFFIX"}] = None
    """Write png, jpg, webp, tiff etc. instead of the input's format."""
    clip_statistics: bool | None = None
    """Normalise all frames alike, against flicker (default: in videos and animations, not in folders)."""
    smooth: Annotated[float, {"metavar": "0..1", "min": 0, "max": 1}] = 0.0
    """How much of the frame before to blend in where a clip stands still."""
    manifest: Annotated[Path | None, {"metavar": "FILE.jsonl"}] = None
    """Add a line for each image to FILE: what became of it."""
    save_mask: bool = False
    """Also write where a generator with a mask painted, as NAME.mask.png."""
    samples: Annotated[int | None, {"metavar": "K", "min": 1}] = None
    """K variations, by a variational generator: NAME.1.png etc."""
    seed: Annotated[int | None, {"metavar": "N", "min": 0}] = None
    """Another seed (than 0) draws other samples."""
    interpolate: Annotated[Path | None, {"metavar": "IMAGE"}] = None
    """Go from the input's code to that of this image, in 8 or K steps."""
    backend: Literal["eager", "auto", "bf16"] = "eager"
    """How to compute; auto: bf16 where fast and exact."""
    batch: Annotated[int | None, {"metavar": "N", "min": 1}] = None
    """Images of one size at once (default: as many as keep the device busy)."""
    memory: Annotated[int | None, {"metavar": "SIZE"}] = None
    """Memory for an image, such as 2GB (default: what is free); what takes more is computed in bands of rows."""
    ema: bool = True
    """Use the moving average of the weights, not the last ones."""
    best: bool = False
    """Use the weights that scored best in training."""
    device: Annotated[str, {"metavar": "DEVICE"}] = "auto"
    """auto, cpu, cuda, cuda:1, mps."""

    def outputs(self, output: Path) -> list[Path]:
        """Return the files to write for an image whose translation would go to `output`: NAME.1.png for samples etc."""
        count = self.samples or (8 if self.interpolate else 0)
        names = [f"{output.stem}.{number}.png" for number in range(1, count + 1)] or [output.name]
        return [output.with_name(name) for name in names + [f"{output.stem}.mask.png"] * self.save_mask]

    @property
    def one_output(self) -> bool:
        """Whether each image becomes one file."""
        return not (self.save_mask or self.samples or self.interpolate)


@dataclass(frozen=True)
class ExportOptions:
    """What to export, and how. The defaults write the network as it was trained, in float32."""

    to: Format | None = None
    """Format (default: as OUT's suffix says)."""
    direction: Direction | None = None
    """AtoB (default) or BtoA; web: both."""
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    """int8 is calibrated on training images."""
    with_io: bool = False
    """Take and return uint8 (B, H, W, C), so that whoever runs the file need not normalise."""
    images: Annotated[Path | None, {"metavar": "FOLDER"}] = None
    """Prove and calibrate on these images, not on those of the run."""
    licence: Annotated[str | None, {"metavar": "NAME"}] = None
    """Licence of the weights, kept in the file."""
    ort_web: Annotated[Path | None, {"metavar": "FOLDER"}] = None
    """npm's package onnxruntime-web (default: fetched by npm)."""
    ema: bool = True
    """Use the moving average of the weights, not the last ones."""
    best: bool = False
    """Use the weights that scored best in training."""
    overwrite: bool = False
    """Replace OUT if it exists."""


@dataclass(frozen=True)
class DistillOptions:
    """What a student is like."""

    width: Annotated[int, {"metavar": "N", "min": 1}] = 16
    """Channels of its first layer."""
    blocks: Annotated[int | None, {"metavar": "N", "min": 0}] = None
    """Residual blocks (default: as its teacher)."""
    direction: Direction | None = None
    """AtoB (default) or BtoA."""
    best: bool = False
    """Learn from the weights that scored best in training."""
    overrides: Sequence[str] = ()
    """Of its configuration, such as `train.length=20 epochs`; the rest is that of its teacher."""


@dataclass(frozen=True, kw_only=True)
class ListenOptions:
    """Where a server listens, and to whom."""

    host: Annotated[str, {"metavar": "ADDRESS"}] = "127.0.0.1"
    """Where to listen; 0.0.0.0: everywhere."""
    port: Annotated[int, {"metavar": "N", "min": 0, "max": 65535}] = 8420
    """0: any that is free."""
    password: Annotated[str, {"metavar": "WORD", "envvar": "VICEVERSA_PASSWORD"}] = field(default="", repr=False)
    """Ask for it. Others can read a command line, not a variable."""
    allow_host: Annotated[list[str] | None, {"metavar": "NAME"}] = None
    """Another name of the server, such as a proxy's."""


@dataclass(frozen=True, kw_only=True)
class ServeOptions(ListenOptions):
    """What to serve, and how much of it."""

    model: Path
    port: Annotated[int, {"metavar": "N", "min": 0, "max": 65535}] = 8000
    """0: any that is free."""
    workers: Annotated[int, {"metavar": "N", "min": 1}] = 1
    """Processes, each with the model."""
    queue: Annotated[int, {"metavar": "N", "min": 1}] = 64
    """Pictures that a process takes at a time; beyond, the answer is 503."""
    batch: Annotated[int | None, {"metavar": "N", "min": 1}] = None
    """Pictures of one size at once (default: as many as keep a graphics card busy, one on a CPU)."""
    max_size: Annotated[int, {"metavar": "SIZE", "show": False}] = 32 * 2**20
    """Of a picture's file, such as 32MB (default)."""
    max_pixels: Annotated[int, {"metavar": "N", "min": 1}] = 2**25
    """Of a picture."""
    best: bool = False
    """Use the weights that scored best in training."""
    device: Annotated[str, {"metavar": "DEVICE"}] = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
