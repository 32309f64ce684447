"""The rules by which weights follow their gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from viceversa.config import TrainConfig


class NormalisedSGD(torch.optim.SGD):
    """Normalised gradient descent: steps of length `lr` along the gradient, however steep or flat it is there.

    With it the exponential NCE provably finds its optimum (Liu et al., 2021; arXiv 2110.11271).
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Divide the gradient of all parameters by its norm, and descend."""
        gradients = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        torch._foreach_div_(gradients, norm.clamp_min(1e-12))
        return super().step(closure)


def make_optimizer(train: TrainConfig, parameters: list[nn.Parameter], device: torch.device) -> torch.optim.Optimizer:
    """Return the configured optimiser of a group of parameters."""
    match train.optimizer:
        case "sgd":
            return torch.optim.SGD(parameters, train.lr)
        case "ngd":
            return NormalisedSGD(parameters, train.lr)
        case "adam":
            fused = device.type in ("cpu", "cuda")
            return torch.optim.Adam(parameters, train.lr, train.betas, fused=fused)
