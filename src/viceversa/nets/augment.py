"""Differentiable augmentation: the discriminator only ever sees altered pictures, real and translated alike.

Zhao, Liu, Lin, Zhu, Han, 2020 (arXiv 2006.10738). It cannot learn few pictures by heart then, and since the gradient
passes through the alterations, the generator does not learn to make them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

Alteration: TypeAlias = Literal["color", "shift", "cutout"]


class Augment(nn.Module):
    """Alters every image of a batch by draws of its own, in training mode only.

    Draws come from torch's generator on the CPU, which the learner seeds at every step.
    """

    def __init__(self, kinds: tuple[Alteration, ...]) -> None:
        super().__init__()
        for kind in kinds:
            if kind not in ALTERATIONS:
                raise ValueError(f"augment={kind} is not known: use some of {', '.join(ALTERATIONS)}")
        self.kinds = kinds

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        for kind in self.kinds if self.training else ():
            x = ALTERATIONS[kind](x)
        return x


def color(x: Tensor) -> Tensor:
    """Brightness by up to 0.5 either way, saturation 0 to 2 times, contrast 0.5 to 1.5 times."""
    x = x + _draws(x, -0.5, 0.5)
    gray = x.mean(1, keepdim=True)
    x = gray + (x - gray) * _draws(x, 0.0, 2.0)
    level = x.mean((1, 2, 3), keepdim=True)
    return level + (x - level) * _draws(x, 0.5, 1.5)


def shift(x: Tensor) -> Tensor:
    """Move by up to an eighth of the size, each way; what comes in is zero."""
    height, width = x.shape[2:]
    far_y, far_x = height // 8, width // 8
    wider = pad(x, [far_x, far_x, far_y, far_y])
    rows = torch.randint(2 * far_y + 1, (len(x),)).tolist()
    columns = torch.randint(2 * far_x + 1, (len(x),)).tolist()
    moved = [image[:, i : i + height, j : j + width] for image, i, j in zip(wider, rows, columns, strict=True)]
    return torch.stack(moved)


def cutout(x: Tensor) -> Tensor:
    """Put a zero rectangle of half the height and width somewhere, partly outside perhaps."""
    height, width = x.shape[2:]
    keep = torch.ones(len(x), 1, height, width, dtype=x.dtype)
    rows = torch.randint(height + 1, (len(x),)).tolist()
    columns = torch.randint(width + 1, (len(x),)).tolist()
    for mask, i, j in zip(keep, rows, columns, strict=True):
        mask[:, max(0, i - height // 4) : i + height // 4, max(0, j - width // 4) : j + width // 4] = 0
    return x * keep.to(x.device, non_blocking=True)


def _draws(x: Tensor, low: float, high: float) -> Tensor:
    """Return a random number for each image of a batch, (B, 1, 1, 1)."""
    return torch.empty(len(x), 1, 1, 1, dtype=x.dtype).uniform_(low, high).to(x.device, non_blocking=True)


ALTERATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {"color": color, "shift": shift, "cutout": cutout}
