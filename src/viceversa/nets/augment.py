"""Differentiable augmentation: the discriminator only ever sees altered pictures, real and translated alike.

Zhao, Liu, Lin, Zhu, Han, 2020 (arXiv 2006.10738). It cannot learn few pictures by heart then, and since the gradient
passes through the alterations, the generator does not learn to make them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

Alteration: TypeAlias = Literal["color", "shift", "cutout"]


class Augment(nn.Module):
    """Alters every image of a batch by draws of its own, in training mode only.

    Draws come from torch's generator on the CPU, which the learner seeds at every step. Where the images of a pair are
    joined, `channels` says how many each has: both are altered alike, but no colour of one goes into the other.
    """

    def __init__(self, kinds: tuple[Alteration, ...]) -> None:
        super().__init__()
        for kind in kinds:
            if kind not in ALTERATIONS:
                raise ValueError(f"augment={kind} is not known: use some of {', '.join(ALTERATIONS)}")
        self.kinds = kinds
        self.channels: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        for kind in self.kinds if self.training else ():
            x = color(x, self.channels) if kind == "color" else ALTERATIONS[kind](x)
        return x


def color(x: Tensor, channels: Sequence[int] = ()) -> Tensor:
    """Brightness by up to 0.5 either way, saturation 0 to 2 times, contrast 0.5 to 1.5 times.

    `channels` are those of each of the images that are joined in x.
    """
    brightness, saturation, contrast = _draws(x, -0.5, 0.5), _draws(x, 0.0, 2.0), _draws(x, 0.5, 1.5)
    found = []
    for image in torch.split(x + brightness, list(channels) or x.shape[1], dim=1):
        gray = image.mean(1, keepdim=True)
        image = gray + (image - gray) * saturation
        level = image.mean((1, 2, 3), keepdim=True)
        found.append(level + (image - level) * contrast)
    return torch.cat(found, dim=1)


def shift(x: Tensor) -> Tensor:
    """Move by up to an eighth of the size, each way; what comes in is zero."""
    height, width = x.shape[2:]
    far_y, far_x = (height + 4) // 8, (width + 4) // 8  # rounded
    wider = pad(x, [far_x, far_x, far_y, far_y])
    rows = torch.randint(2 * far_y + 1, (len(x),)).tolist()
    columns = torch.randint(2 * far_x + 1, (len(x),)).tolist()
    moved = [image[:, i : i + height, j : j + width] for image, i, j in zip(wider, rows, columns, strict=True)]
    return torch.stack(moved)


def cutout(x: Tensor) -> Tensor:
    """Put a zero rectangle of half the height and width somewhere, partly outside perhaps."""
    height, width = x.shape[2:]
    tall, wide = (height + 1) // 2, (width + 1) // 2  # rounded
    keep = torch.ones(len(x), 1, height, width, dtype=x.dtype)
    rows = torch.randint(height + 1 - tall % 2, (len(x),)).tolist()
    columns = torch.randint(width + 1 - wide % 2, (len(x),)).tolist()
    for mask, i, j in zip(keep, rows, columns, strict=True):
        top, left = i - tall // 2, j - wide // 2
        mask[:, max(0, top) : top + tall, max(0, left) : left + wide] = 0
    return x * keep.to(x.device, non_blocking=True)


def _draws(x: Tensor, low: float, high: float) -> Tensor:
    """Return a random number for each image of a batch, (B, 1, 1, 1)."""
    return torch.empty(len(x), 1, 1, 1, dtype=x.dtype).uniform_(low, high).to(x.device, non_blocking=True)


ALTERATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {"color": color, "shift": shift, "cutout": cutout}
