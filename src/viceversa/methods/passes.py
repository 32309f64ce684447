"""Passes that share a network in one batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from viceversa.nets.base import Generator

PIXELS = 2**16
"""So many of them in one batch at most on a CPU: larger maps are fetched from the system page by page."""


class Passes:
    """A generator during one step: what it will be asked for later, it computes in the same pass where that is exact.

    It is exact if the generator takes each picture of a batch alone (`Generator.each_alone`) and both have one shape.
    Else, and for large pictures on a CPU, there is a pass for each, when it is asked for, as if nothing had been
    announced.

    `do` is what is computed of a picture: its translation, or any tensors whose first dimension is the batch.
    """

    def __init__(self, net: Generator, do: Callable[[Tensor], Any] | None = None) -> None:
        self.net, self.do = net, do or net
        self.ready: list[tuple[Tensor, Any]] = []

    def __call__(self, x: Tensor, *, later: Tensor | None = None) -> Any:
        """Return the result for x; `later` will be asked for, too."""
        for picture, result in self.ready:
            if picture is x:
                return result
        if later is None or not self._join(x, later):
            return self.do(x)
        now, then = _shared(self.do(torch.cat([x, later])), len(x))
        self.ready.append((later, then))
        return now

    def _join(self, x: Tensor, later: Tensor) -> bool:
        """Whether both may go in one batch, and had better."""
        small = 2 * len(x) * x.shape[2] * x.shape[3] <= PIXELS
        return self.net.each_alone and later.shape == x.shape and (small or x.device.type != "cpu")


def _shared(result: Any, size: int) -> tuple[Any, Any]:
    """Return the first `size` entries of all tensors, and the others."""
    if isinstance(result, Tensor):
        return result[:size], result[size:]
    pairs = [_shared(part, size) for part in result]
    return tuple(first for first, _ in pairs), tuple(second for _, second in pairs)
