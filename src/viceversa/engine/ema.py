"""Exponential moving average of the translators (EMA)."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import nn

from viceversa.config import Inference
from viceversa.methods.base import Translators
from viceversa.nets.layers import set_inference


class Ema(nn.Module):
    """A copy of every translator, in inference form, whose weights follow the originals' slowly.

    After step t the average is d * average + (1 - d) * weights with d = min(decay, (1 + t) / (10 + t)), so that the
    random first weights are soon forgotten. Buffers are copied. A decay of 0 makes it a plain copy.
    """

    def __init__(self, translators: Translators, decay: float, inference: Inference) -> None:
        super().__init__()
        self.decay = decay
        self.copies = nn.ModuleDict({direction: copy.deepcopy(net) for direction, net in translators.items()})
        self.copies.requires_grad_(False)
        for net in self.copies.values():
            set_inference(net, inference)

    def translators(self) -> Translators:
        """Return the averaged networks by direction."""
        return cast(Translators, dict(self.copies.items()))

    def restart(self, translators: Translators) -> None:
        """Become a plain copy."""
        for direction, net in translators.items():
            self.copies[direction].load_state_dict(net.state_dict())

    @torch.no_grad()
    def update(self, translators: Translators, step: int) -> None:
        """Move towards the weights after step number `step` (counted from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step)) if self.decay else 0.0
        for direction, net in translators.items():
            average = self.copies[direction]
            torch._foreach_lerp_(list(average.parameters()), list(net.parameters()), 1 - decay)
            for buffer, newest in zip(average.buffers(), net.buffers(), strict=True):
                buffer.copy_(newest)
