"""Match the means of frozen features (Dos Santos et al., 2019; arXiv 1904.02762): a pull that no opponent moves."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, distributed, nn

from viceversa.losses.adversarial import to_float32

MEMORY = 0.99


class MomentMatching(nn.Module):
    """The squared distance of mean features, translations to target domain, over the last hundred or so steps.

    Of every channel of every map it compares the mean and the root mean square. Few images say little about a domain,
    so the gradient is that of the moving average of the difference (Sec. 3.2, with a plain average for Adam's).
    """

    gap: Tensor
    steps: Tensor

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("gap", torch.zeros(2 * sum(channels)))
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
        """Maps (B, C, H, W) of translations and of real images to the loss; remembers their difference."""
        gap = moments(fake) - moments(real).detach()
        now = gap.detach().clone()
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(now)
            now /= distributed.get_world_size()
        self.gap.lerp_(now.to(self.gap.dtype), 1 - MEMORY)
        self.steps += 1
        average = self.gap / (1 - MEMORY**self.steps)
        return average.to(gap.dtype) @ gap


def moments(maps: Sequence[Tensor]) -> Tensor:
    """Return mean and root mean square of each channel over batch and places, scaled so that each map counts alike."""
    found = []
    for features in map(to_float32, maps):
        mean, square = (power.mean((2, 3)) for power in (features, features.square()))
        found.append(torch.cat([mean, (square + 1e-4).sqrt()], dim=1).mean(0) / features.shape[1] ** 0.5)
    return torch.cat(found)
