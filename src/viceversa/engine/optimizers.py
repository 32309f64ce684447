"""The rules by which weights follow their gradients; the learning rate, a function of the step."""

from __future__ import annotations

import math
from collections.abc import Callable
from inspect import unwrap
from typing import Any, TypeVar

import torch
from torch import nn
from torch.optim import Optimizer

from viceversa.config import TrainConfig

Rule = TypeVar("Rule", bound=type[Optimizer])


def eager(rule: Rule) -> Rule:
    """Take off the wrappers by which torch's optimisers import its compiler, which takes as long as all else."""
    for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict"):
        setattr(rule, name, unwrap(getattr(rule, name)))
    rule.step = torch.no_grad()(unwrap(rule.step))  # type: ignore[method-assign]
    return rule


@eager
class Adam(torch.optim.Adam):
    """Adam (Kingma and Ba, 2015), whatever the memory layout of weights and gradients.

    torch's fused kernel for the CPU (2.14.1) copies what is not contiguous, and goes wrong where a gradient lies
    otherwise than its weight. So it gets all of them as plain rows of numbers. Nor does it count changes of weights.
    """

    def _init_group(self, group: dict[str, Any], *lists: Any) -> bool:
        complex_numbers: bool = super()._init_group(group, *lists)  # type: ignore[no-untyped-call]  # fills them
        if group["fused"]:
            weights, gradients, *moments = lists[:4]
            torch.autograd.graph.increment_version(weights)
            for i, weight in enumerate(weights):
                if gradients[i].stride() != weight.stride():
                    gradients[i] = torch.empty_like(weight).copy_(gradients[i])
                for tensors in (weights, gradients, *moments):
                    tensors[i] = tensors[i].as_strided((weight.numel(),), (1,))
        return complex_numbers


@eager
class SGD(torch.optim.SGD):
    """Plain gradient descent."""


class NormalisedSGD(SGD):
    """Normalised gradient descent (Liu et al., 2021; arXiv 2110.11271): steps of length `lr` along the gradient."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Divide the gradient of all parameters by its norm, and descend."""
        gradients = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        torch._foreach_div_(gradients, norm.clamp_min(1e-12))
        return super().step(closure)


def make_optimizer(train: TrainConfig, parameters: list[nn.Parameter], device: torch.device) -> Optimizer:
    """Return the configured optimiser of a group of parameters."""
    match train.optimizer:
        case "sgd":
            return SGD(parameters, train.lr)
        case "ngd":
            return NormalisedSGD(parameters, train.lr)
        case "adam":
            fused = device.type in ("cpu", "cuda")
            return Adam(parameters, train.lr, train.betas, fused=fused)


def remembers_what_it_must(optimizer: Optimizer) -> bool:
    """Whether an optimiser's memory, which may be from a file, is such as it makes itself."""
    needed = {"step", "exp_avg", "exp_avg_sq"} if isinstance(optimizer, Adam) else set()
    return all(
        needed <= moments.keys() and all(moment.shape in ((), parameter.shape) for moment in moments.values())
        for parameter, moments in optimizer.state.items()
    )


def rate(train: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """Return the factor of the learning rate at `step` (counted from 0).

    The rate changes in the unit that `train.decay` is given in: after each epoch, as in the originals, or after each
    step. With n units of decay, the k-th of them (from 1) has the factor 1 - k / (n + 1), so it never reaches zero.
    """
    unit = steps_per_epoch if train.decay.unit == "epochs" else 1
    total = math.ceil(train.length.steps(steps_per_epoch) / unit)
    n = min(train.decay.amount, total)
    k = max(0, step // unit + 1 - (total - n))
    progress = k / (n + 1)
    match train.schedule:
        case "linear":
            return 1 - progress
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * progress))
        case "step":  # once when decay begins, and after every `step_every` of it
            since = step - train.decay_start(steps_per_epoch)
            again = since // max(1, train.step_every.steps(steps_per_epoch)) if train.step_every else 0
            return 0.1 ** (1 + again) if since >= 0 else 1.0
        case "constant":
            return 1.0
