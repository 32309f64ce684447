"""Activation checkpointing by block: less memory, for a second forward pass (Chen et al., 2016; arXiv 1604.06174)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from .base import Generator

_again: ContextVar[bool] = ContextVar("_again", default=False)


class Block(nn.Module):
    """A part of a network that can forget what it computed, but for its input, and compute it again for its gradient.

    What it computes the second time is bitwise the same, random numbers and autocast included.
    """

    checkpointed = False

    def __call__(self, x: Tensor) -> Tensor:
        """Compute, and forget all between input and result if a gradient will be asked for and it was told to."""
        result: Tensor
        if not (self.checkpointed and torch.is_grad_enabled()):
            result = super().__call__(x)
            return result
        from torch.utils.checkpoint import checkpoint  # here, as it imports torch's compiler

        result = checkpoint(
            super().__call__, x, use_reentrant=False, context_fn=lambda: (nullcontext(), _second_time())
        )
        return result


def enable_checkpointing(net: nn.Module) -> None:
    """Turn activation checkpointing on in the blocks of all generators in a network.

    Discriminators keep what they compute: it is little, and their spectral norm changes with every forward pass.
    """
    for block in blocks(net):
        block.checkpointed = True


def blocks(net: nn.Module) -> list[Block]:
    """Return the blocks of all generators in a network."""
    generators = [module for module in net.modules() if isinstance(module, Generator)]
    return [module for generator in generators for module in generator.modules() if isinstance(module, Block)]


def again() -> bool:
    """Whether a block is being computed for the second time, so that statistics must not count it twice."""
    return _again.get()


@contextmanager
def _second_time() -> Iterator[Any]:
    token = _again.set(True)
    try:
        yield
    finally:
        _again.reset(token)
