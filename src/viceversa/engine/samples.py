"""Sample grids: what the translators make of fixed test pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from viceversa.data import TestSample
from viceversa.data.grid import grid
from viceversa.data.images import from_tensor
from viceversa.methods.base import Translators

Column = list[np.ndarray | None]


@torch.no_grad()
def sample_grid(translators: Translators, samples: Sequence[TestSample]) -> Image.Image:
    """Return a grid of input, translation, attention mask, reconstruction and true answer, for every direction.

    Columns that do not exist (no mask, no way back, no true answer) are left out.
    """
    columns: dict[str, Column] = {}
    for direction, net in translators.items():
        source, target = direction.split("to")
        inputs = [s.a if source == "A" else s.b for s in samples]
        truths = [(s.b if source == "A" else s.a) if s.paired else None for s in samples]
        fakes = [_through(net, x) for x in inputs]
        if columns:
            columns[" " * len(columns)] = []
        columns[f"input {source}"] = _shown(inputs)
        columns[direction] = _shown(fakes)
        columns[f"mask {direction}"] = [_mask(net, x) for x in inputs]
        way_back = translators.get(f"{target}to{source}")  # type: ignore[call-overload]
        columns[f"back to {source}"] = _shown([_through(way_back, x) for x in fakes]) if way_back else []
        columns[f"true {target}"] = _shown(truths)
    return grid(
        {name: column for name, column in columns.items() if not name.strip() or any(p is not None for p in column)}
    )


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


def _shown(images: Sequence[Tensor | None]) -> Column:
    return [None if image is None else from_tensor(image.float().cpu()) for image in images]
