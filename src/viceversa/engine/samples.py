"""Samples: what the translators make of fixed test pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from viceversa.data import TestSample
from viceversa.data.image_data import from_tensor
from viceversa.data.sheet import Column
from viceversa.methods.base import Translators


@torch.no_grad()
def sample_columns(translators: Translators, samples: Sequence[TestSample]) -> list[Column]:
    """Return input, translation, attention mask, reconstruction and true answer, for every direction.

    What does not exist (no mask, no way back, no true answer) is a column without pictures.
    """
    columns = []
    for direction, net in translators.items():
        source, target = direction.split("to")
        inputs = [s.a if source == "A" else s.b for s in samples]
        truths = [(s.b if source == "A" else s.a) if s.paired else None for s in samples]
        fakes = [_through(net, x) for x in inputs]
        way_back = translators.get(f"{target}to{source}")  # type: ignore[call-overload]
        back = [_through(way_back, x) if way_back else None for x in fakes]
        columns += [
            Column(direction, "input", _shown(inputs)),
            Column(direction, "translation", _shown(fakes)),
            Column(direction, "mask", [_mask(net, x) for x in inputs]),
            Column(direction, "back", _shown(back)),
            Column(direction, "truth", _shown(truths)),
        ]
    return columns


def thin_out(folder: Path, *, every: int, keep: int) -> None:
    """Delete sample grids until at most `keep`, two or more, are left; the first and the newest stay.

    Those of every 2nd, 4th, 8th, ... time stay, so they remain evenly spread, and the same ones whether the run was
    interrupted or not. `every` is the number of steps from one to the next.
    """
    grids = sorted(folder.glob("step-*.png"))
    spared, stride = set(grids), every
    while len(spared) > keep:
        spared = {path for path in grids if int(path.stem.removeprefix("step-")) % stride == 0} | {grids[0], grids[-1]}
        stride *= 2
    for path in grids:
        if path not in spared:
            path.unlink()


def _through(net: torch.nn.Module, image: Tensor | None) -> Tensor | None:
    if image is None:
        return None
    parameter = next(net.parameters())
    result: Tensor = net(image[None].to(parameter))[0]
    return result


def _mask(net: torch.nn.Module, image: Tensor | None) -> np.ndarray | None:
    if image is None:
        return None
    mask = net.attention(image[None].to(next(net.parameters())))  # type: ignore[operator]
    return None if mask is None else from_tensor(mask[0] * 2 - 1)


def _shown(images: Sequence[Tensor | None]) -> list[np.ndarray | None]:
    return [None if image is None else from_tensor(image.float().cpu()) for image in images]
