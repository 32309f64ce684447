"""The price of a code: how far its distribution is from the unit Gaussian that codes should follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from viceversa.losses.adversarial import to_float32

Code: TypeAlias = tuple[Tensor, Tensor]
"""Mean and log-variance."""
PaidCodes: TypeAlias = Literal["all", "translation", "last"]
Reduction: TypeAlias = Literal["sum", "mean"]


def kl(mean: Tensor, logvar: Tensor, *, reduction: Reduction = "mean", free_bits: float = 0.0) -> Tensor:
    """Return the KL divergence of N(mean, exp(logvar)) from N(0, 1) in nats, a scalar in float32.

    `mean` and `logvar` are codes (B, C) or (B, C, h, w). Each of their numbers costs
    (mean^2 + exp(logvar) - 1 - logvar) / 2 (Kingma and Welling, 2014, Appendix B). sum: over all numbers of a code, as
    in the textbook's bound. mean: over them. Both are a mean over the images.

    The first `free_bits` nats of each channel, summed over its positions and averaged over the images, are charged
    always and without gradient, so it need not be silenced (Kingma et al., 2016, arXiv 1606.04934).
    """
    mean, logvar = to_float32(mean), to_float32(logvar)
    numbers = 0.5 * (mean.square() + torch.expm1(logvar) - logvar)
    channels = numbers.reshape(*numbers.shape[:2], -1).sum(-1).mean(0)
    total = channels.clamp_min(free_bits).sum()
    return total if reduction == "sum" else total / numbers[0].numel()


class KL(nn.Module):
    """The weighted KL divergence of the codes that generators drew in a step.

    During the first `warmup` steps, counted here, the weight rises in equal parts, from 1 / warmup to all of it, so
    that codes learn to carry something before that costs much (Bowman et al., 2016; Sønderby et al., 2016).
    """

    steps: Tensor

    def __init__(self, weight: float, *, on: PaidCodes, reduction: Reduction, warmup: int, free_bits: float) -> None:
        super().__init__()
        self.weight, self.on, self.reduction, self.warmup, self.free_bits = weight, on, reduction, warmup, free_bits
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, codes_G: Sequence[Code], codes_F: Sequence[Code]) -> tuple[Tensor, Tensor]:
        """Return the loss of each generator; to be called once a step.

        The codes are those of the translation, the cycle and, if there was one, the identity. all: the mean over these
        passes. translation: the first alone. last: what remains when a generator remembers its last code only and runs
        in the order G(x), F(G(x)), F(y), G(F(y)).
        """
        self.steps += 1
        weight = self.weight * (self.steps / max(1, self.warmup)).clamp(max=1)
        if self.on == "translation":
            codes_G, codes_F = codes_G[:1], codes_F[:1]
        elif self.on == "last":
            codes_G, codes_F = codes_G[1:2], codes_F[:1]
        return weight * self._mean(codes_G), weight * self._mean(codes_F)

    def _mean(self, codes: Sequence[Code]) -> Tensor:
        return torch.stack([kl(*code, reduction=self.reduction, free_bits=self.free_bits) for code in codes]).mean()
