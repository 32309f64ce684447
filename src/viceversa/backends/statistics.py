"""Normalisation by the statistics of an image that is gone through in parts, or of several images together."""

from __future__ import annotations

import copy
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from viceversa.nets import Generator
from viceversa.nets.layers import BatchNorm, InstanceNorm

Moments: TypeAlias = tuple[Tensor, Tensor]
"""Mean and variance of a map's pixels, each (C)."""


def needs_statistics(layer: nn.Module | None) -> bool:
    """Whether a layer normalises by the statistics of the whole image."""
    if isinstance(layer, BatchNorm):
        return layer.inference == "image"
    return isinstance(layer, InstanceNorm | nn.InstanceNorm2d | nn.GroupNorm)


def merged(total: Tensor, values: Tensor) -> Tensor:
    """Return number, mean and variance of pixels, (3, C), with those of (B, C, h, W) added (Chan et al., 1983)."""
    var, mean = (one.cpu().double() for one in torch.var_mean(values, (0, 2, 3), correction=0))
    number = total[0] + values.numel() / values.shape[1]
    share = 1 - total[0] / number
    apart = mean - total[1]
    return torch.stack([number, total[1] + share * apart, total[2] + share * (var - total[2] + (1 - share) * apart**2)])


def normalised(x: Tensor, norm: Any, moments: Moments) -> Tensor:
    """Return what a normalisation makes of x with these statistics instead of its own."""
    return functional.batch_norm(x, *_by_channel(norm, *moments), norm.weight, norm.bias, eps=norm.eps)


def frozen(net: Generator, statistics: dict[str, Moments]) -> Generator:
    """Return a copy of a generator that normalises every image by these statistics instead of its own."""
    net = copy.deepcopy(net)
    for name, moments in statistics.items():
        old: Any = net.get_submodule(name)
        new = nn.BatchNorm2d(len(moments[0]), old.eps, affine=old.weight is not None, device=moments[0].device)
        running = dict(zip(("running_mean", "running_var"), _by_channel(old, *moments), strict=True))
        new.load_state_dict({**old.state_dict(), **running}, strict=False)
        net.set_submodule(name, new.eval().requires_grad_(False))
    return net


def _by_channel(norm: nn.Module, mean: Tensor, var: Tensor) -> Moments:
    """Return what a normalisation uses for each channel: the statistics of its group, if it has groups."""
    if not isinstance(norm, nn.GroupNorm):
        return mean, var
    each = len(mean) // norm.num_groups
    group_mean, square = ((one.view(-1, each).mean(1)) for one in (mean, var + mean**2))
    return group_mean.repeat_interleave(each), (square - group_mean**2).repeat_interleave(each)
