"""Distillation: a small generator learns from a large one's answers (Hinton, Vinyals, Dean, 2015; arXiv 1503.02531).

As for other generators that answer an image with an image, the answers themselves are the target (Aguinaldo et al.,
2019; arXiv 1902.00159, Eq. 1); nothing adversarial is needed, since each input has exactly one answer.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.functional import l1_loss

from viceversa.config import Direction
from viceversa.methods.base import Batch, Method, Networks, Translators, Update
from viceversa.nets.features import FrozenFeatures


class Distillation(Method):
    """A generator G: x -> y, where y is what the teacher makes of x. `viceversa distill` makes such pairs.

    Args:
        direction: Which domain is x and which is y.
        l1: Weight of the L1 distance of G(x) to y.
        features: Weight of the L1 distance of their frozen features, the mean over four scales; 0: without.
    """

    needs_pairs = True

    def __init__(
        self, make: Networks, *, direction: Direction = "AtoB", l1: float = 10.0, features: float = 0.0
    ) -> None:
        super().__init__()
        self.direction, self.l1, self.features = direction, l1, features
        self.x, self.y = direction.split("to")
        self.G = make.generator(self.x, self.y)
        self.look = FrozenFeatures()

    def step(self, batch: Batch) -> Iterator[Update]:
        x, y = batch[self.x], batch[self.y]
        answer = self.G(x)
        losses = {"l1": self.l1 * l1_loss(answer, y)}
        if self.features:
            with torch.no_grad():
                seen = self.look(y)
            distances = [l1_loss(own, other) for own, other in zip(self.look(answer), seen, strict=True)]
            losses["features"] = self.features * torch.stack(distances).mean()

        yield Update("G", **losses)

    def groups(self) -> dict[str, list[nn.Module]]:
        return {"G": [self.G]}

    def translators(self) -> Translators:
        return {self.direction: self.G}
