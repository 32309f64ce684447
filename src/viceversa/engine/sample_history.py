"""The samples of a run: what its translators make of the same test images, step after step.

samples/inputs/AtoB-0-input.png                 test image 0 of domain A
samples/inputs/AtoB-0-truth.png                 what its translation should be, where that is known
samples/step-00000500/AtoB-0-translation.png    its translation after 500 steps
samples/step-00000500/AtoB-0-back.png           the translation, translated back
samples/step-00000500/AtoB-0-mask.png           where the generator paints, if it tells
samples/latest.png                              the newest step as a contact sheet, to look at
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from viceversa.config import Direction
from viceversa.data.eval_set import EvalSample
from viceversa.data.grid import grid, on_paper, viewable
from viceversa.data.image_data import from_tensor
from viceversa.files import replacing, replacing_folder
from viceversa.methods.base import Translators

Kind: TypeAlias = Literal["input", "translation", "mask", "back", "truth"]
NAME = re.compile(r"(AtoB|BtoA)-(\d{1,6})-(input|translation|mask|back|truth)\.png")
LARGEST = 2**26  # pixels of an image that is read
KEPT = 200  # steps, at most
log = logging.getLogger("viceversa")


class Key(NamedTuple):
    """Which image: `row` is the number of the test image, from 0."""

    direction: Direction
    row: int
    kind: Kind


@torch.no_grad()
def translate_samples(translators: Translators, samples: Sequence[EvalSample]) -> dict[Key, NDArray[np.uint8]]:
    """Return inputs, ground truth, translations, masks and translations back, (H, W, C), as far as there are any."""
    images: dict[Key, NDArray[np.uint8]] = {}
    for direction, net in translators.items():
        net_back = translators.get("BtoA" if direction == "AtoB" else "AtoB")
        for row, sample in enumerate(samples):
            x, y = (sample.a, sample.b) if direction == "AtoB" else (sample.b, sample.a)
            if x is None:
                continue
            batch = x[None].to(next(net.parameters()))
            fake, mask = net(batch), net.attention(batch)
            found: dict[Kind, Tensor | None] = {"input": x, "truth": y if sample.paired else None}
            found |= {"translation": fake[0], "mask": None if mask is None else mask[0] * 2 - 1}
            found |= {"back": net_back(fake)[0] if net_back else None}
            images |= {Key(direction, row, kind): from_tensor(i) for kind, i in found.items() if i is not None}
    return images


def write_samples(folder: Path, step: int, images: Mapping[Key, NDArray[np.uint8]]) -> Image.Image:
    """Keep the images of a step in the folder `samples` of a run, and return them as a contact sheet.

    Inputs and ground truth are kept once for all steps. If the test images have changed, the samples of the earlier
    ones are moved aside, to samples-before-00000500.
    """
    shown = {key: viewable(pixels) for key, pixels in images.items()}
    fixed = {key: image for key, image in shown.items() if key.kind in ("input", "truth")}
    kept = {key: image.tobytes() for key, image in _read(folder / "inputs").items()}
    if kept != {key: on_paper(image).tobytes() for key, image in fixed.items()}:
        if kept:
            aside = folder.with_name(f"{folder.name}-before-{step:08d}")
            shutil.rmtree(aside, ignore_errors=True)
            folder.replace(aside)
        _write(folder / "inputs", fixed)
    _write(_step_folder(folder, step), {key: image for key, image in shown.items() if key not in fixed})
    sheet = contact_sheet(shown)
    with replacing(folder / "latest.png") as temporary:
        sheet.save(temporary, "PNG")
    return sheet


def contact_sheet(images: Mapping[Key, Image.Image]) -> Image.Image:
    """Return a sheet with a row for each test image, and a column for each kind of image and direction."""
    columns: dict[str, list[NDArray[np.uint8] | None]] = {}
    rows = sorted({key.row for key in images})
    for direction in sorted({key.direction for key in images}):
        source, target = direction.split("to")
        labels: dict[Kind, str] = {"input": f"input {source}", "translation": direction, "mask": f"mask {direction}"}
        labels |= {"back": f"back to {source}", "truth": f"true {target}"}
        if columns:
            columns[" "] = []
        for kind, label in labels.items():
            column = [images.get(Key(direction, row, kind)) for row in rows]
            if any(column):
                columns[label] = [np.atleast_3d(np.asarray(image)) if image else None for image in column]
    return grid(columns or {"": []})


def sample_steps(folder: Path) -> list[int]:
    """Return the steps of which there are samples, in ascending order."""
    return sorted(
        int(p.name[5:]) for p in folder.glob("step-*") if re.fullmatch(r"step-\d{8,12}", p.name) and p.is_dir()
    )


def read_samples(folder: Path, step: int) -> dict[Key, Image.Image]:
    """Return the images of a step in RGB, with inputs and ground truth, but for those that cannot be read."""
    return _read(folder / "inputs") | _read(_step_folder(folder, step))


def thin_out(folder: Path, *, every: int, keep: int) -> None:
    """Delete samples, made after every `every` steps, until those of at most `keep` steps, two or more, are left.

    The first, the newest and those of every 2nd, 4th, 8th, ... time stay, whether the run was interrupted or not.
    """
    steps = sample_steps(folder)
    spared, stride = steps, every
    while len(spared) > keep:
        spared = sorted({step for step in steps if step % stride == 0} | {steps[0], steps[-1]})
        stride *= 2
    for step in set(steps) - set(spared):
        shutil.rmtree(_step_folder(folder, step))


def _step_folder(folder: Path, step: int) -> Path:
    return folder / f"step-{step:08d}"


def _write(folder: Path, images: Mapping[Key, Image.Image]) -> None:
    with replacing_folder(folder, overwrite=True) as temporary:
        for key, image in images.items():
            image.save(temporary / f"{key.direction}-{key.row}-{key.kind}.png", "PNG")


def _read(folder: Path) -> dict[Key, Image.Image]:
    found: dict[Key, Image.Image] = {}
    for path in sorted(folder.glob("*.png")):
        if not (name := NAME.fullmatch(path.name)) or not path.is_file():
            continue
        try:
            with Image.open(path, formats=["PNG"]) as image:
                if image.width * image.height > LARGEST:
                    raise ValueError("too large")
                found[Key(cast(Direction, name[1]), int(name[2]), cast(Kind, name[3]))] = on_paper(image)
        except Exception as error:  # on damaged files Pillow raises nearly anything
            log.warning(
                "%s: cannot be read, left out (%s)", path, str(error).partition("\n")[0] or type(error).__name__
            )
    return found
