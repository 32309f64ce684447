"""Pictures with edges around them, and back."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import pad

Edges: TypeAlias = Literal["zeros", "reflect", "replicate"]


def surround(x: Tensor, edge: int, mode: Edges) -> Tensor:
    """Return (B, C, H, W) with `edge` pixels more on every side."""
    return pad(x, [edge] * 4, mode="constant" if mode == "zeros" else mode)


def surround_gradient(gradient: Tensor, x: Tensor, edge: int, mode: Edges) -> Tensor:
    """Return the gradient of x, given that of `surround(x)`."""
    if mode == "zeros":
        return gradient[..., edge:-edge, edge:-edge]
    back = torch.ops.aten.reflection_pad2d_backward if mode == "reflect" else torch.ops.aten.replication_pad2d_backward
    dx: Tensor = back(gradient, x, [edge] * 4)
    return dx
