"""The price of a code: how far its distribution is from the unit Gaussian that codes should follow."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from viceversa.losses.adversarial import wide

Reduction: TypeAlias = Literal["mean", "sum"]


def kl(mean: Tensor, logvar: Tensor, *, reduction: Reduction = "mean", free_bits: float = 0.0) -> Tensor:
    """Return the KL divergence of N(mean, exp(logvar)) from N(0, 1) in nats, a scalar in float32.

    `mean` and `logvar` are codes (B, C) or (B, C, h, w). Each of their numbers costs
    (mean^2 + exp(logvar) - 1 - logvar) / 2 (Kingma and Welling, 2014, Appendix B).

    sum: over all numbers of a code, as in the textbook's bound. mean: over them, source 000's, so that a weight means
    the same for codes of any size. Both are the mean over the images.

    `free_bits` are free of charge: nats for each channel of the code, summed over its positions and averaged over the
    images (Kingma et al., 2016, Eq. 15, who group codes by feature map, too); a cheaper channel gets no gradient.
    """
    mean, logvar = wide(mean), wide(logvar)
    cost = 0.5 * (mean.square() + torch.expm1(logvar) - logvar)
    channels = cost.flatten(2).sum(2).mean(0) if cost.dim() > 2 else cost.mean(0)
    total = channels.clamp_min(free_bits).sum()
    return total if reduction == "sum" else total / cost[0].numel()


class WarmUp(nn.Module):
    """A factor that rises with every call, from 1 / `steps` to 1, and stays there (Sønderby et al., 2016).

    A method does not know the trainer's step, so the calls are counted here; the count is part of the state_dict, so
    that a continued run goes on with it. 0 steps turn it off.
    """

    calls: Tensor

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self) -> Tensor:
        """Return the factor of this call, a scalar."""
        self.calls += 1
        return (self.calls / max(1, self.steps)).clamp(max=1)
