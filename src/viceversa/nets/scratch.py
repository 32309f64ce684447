"""Memory for what is needed during one operation only.

Fresh memory for each would lie between what is kept until the backward pass, and leave holes there that fit nothing.
"""

from __future__ import annotations

import threading
from math import prod

import torch
from torch import Tensor


class _Memory(threading.local):
    """What this thread has taken so far."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, torch.dtype], Tensor] = {}


_memory = _Memory()


def scratch(name: str, dtype: torch.dtype, *shape: int) -> Tensor:
    """Return a tensor of that shape with anything in it, which whoever takes the same name next may overwrite."""
    known, size = _memory.known.get((name, dtype)), prod(shape)
    if known is None or len(known) < size:
        with torch.inference_mode(False):  # it will be written to in either mode
            known = _memory.known[name, dtype] = torch.empty(size, dtype=dtype)
    return known[:size].view(shape)
