"""The price of a code: how far its distribution is from the unit Gaussian that codes should follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from pydantic import NonNegativeFloat, NonNegativeInt
from torch import Tensor, nn

from viceversa.losses.adversarial import wide

Code: TypeAlias = tuple[Tensor, Tensor]
Nats: TypeAlias = NonNegativeFloat
Passes: TypeAlias = Literal["translation", "all"]
Reduction: TypeAlias = Literal["sum", "mean"]
Steps: TypeAlias = NonNegativeInt


def kl(mean: Tensor, logvar: Tensor, *, reduction: Reduction = "mean", free_bits: Nats = 0.0) -> Tensor:
    """Return the KL divergence of N(mean, exp(logvar)) from N(0, 1) in nats, a scalar in float32.

    `mean` and `logvar` are codes (B, C) or (B, C, h, w). Each of their numbers costs
    (mean^2 + exp(logvar) - 1 - logvar) / 2 (Kingma and Welling, 2014, Appendix B).

    sum: over all numbers of a code, as in the textbook's bound. mean: over them, as in source 000, so that a weight
    means the same for codes of any size. Both are a mean over the images.

    The first `free_bits` nats of each channel of the code are free: where a channel, summed over its positions and
    averaged over the images, costs less, that much is charged and there is no gradient, so it need not be silenced
    (Kingma et al., 2016, arXiv 1606.04934, whose groups of a spatial code are its feature maps, too).
    """
    mean, logvar = wide(mean), wide(logvar)
    numbers = 0.5 * (mean.square() + torch.expm1(logvar) - logvar)
    channels = numbers.reshape(*numbers.shape[:2], -1).sum(-1).mean(0)
    total = channels.clamp_min(free_bits).sum()
    return total if reduction == "sum" else total / numbers[0].numel()


class KL(nn.Module):
    """The weighted KL divergence of the codes that generators drew in a step, warmed up.

    During the first `warmup` steps the weight rises in equal parts, from 1 / warmup to all of it, so that codes learn
    to carry something before that costs much (Bowman et al., 2016; Sønderby et al., 2016). A method does not know the
    trainer's step, and need not for this alone: the steps are counted here, in a buffer, so that the count is saved
    with the method and a continued run goes on with it.
    """

    steps: Tensor

    def __init__(self, weight: float, *, on: Passes, reduction: Reduction, warmup: Steps, free_bits: Nats) -> None:
        super().__init__()
        self.weight, self.on, self.reduction, self.warmup, self.free_bits = weight, on, reduction, warmup, free_bits
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, *generators: Sequence[Code]) -> list[Tensor]:
        """Take each generator's codes, its translation's first, and return its loss; to be called once a step.

        translation: the first pass counts alone. all: the mean over the passes, so that the weight means the same.
        """
        self.steps += 1
        weight = self.weight * (self.steps / max(1, self.warmup)).clamp(max=1)
        passes = [codes[:1] if self.on == "translation" else codes for codes in generators]
        return [weight * torch.stack([self._cost(code) for code in codes]).mean() for codes in passes]

    def _cost(self, code: Code) -> Tensor:
        return kl(*code, reduction=self.reduction, free_bits=self.free_bits)
