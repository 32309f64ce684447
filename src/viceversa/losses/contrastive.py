"""Patchwise contrast: a patch of the translation should know which patch of the input it came from.

PatchNCE of CUT (Park, Efros, Zhang, Zhu, 2020; arXiv 2007.15651, Eq. 3) and its exponential variant.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from viceversa.losses.adversarial import wide
from viceversa.seeds import SHARED

Contrast: TypeAlias = Literal["infonce", "ence"]
Negatives: TypeAlias = Literal["image", "batch"]
Queries: TypeAlias = Literal["random", "attention"]

SELF = -10.0  # stands for a patch's similarity with itself among the negatives: never mistaken for one
MOST = 4096  # positions; attention compares each with each


def patch_nce(
    query: Tensor,
    key: Tensor,
    *,
    temperature: float = 0.07,
    contrast: Contrast = "infonce",
    negatives: Negatives = "image",
) -> Tensor:
    """Return the contrast of each query, (B * N,).

    `query` and `key` are unit vectors (B, N, C): patch n of the translation and of the input, image by image. The other
    N - 1 keys of the same image are the negatives, or those of the whole batch.

    infonce: cross entropy of finding the own key (Oord et al., 2018). ence: the exponential loss of Liu et al. (2021,
    arXiv 2110.11271), 1/2 E_P exp(-f / 2) + 1/2 E_Q exp(f / 2), where f is the similarity over the temperature.
    """
    query, key = wide(query), wide(key)
    if negatives == "batch":
        query, key = query.flatten(0, 1)[None], key.flatten(0, 1)[None]
    own = (query * key).sum(-1, keepdim=True)
    others = query @ key.transpose(1, 2)
    itself = torch.eye(others.shape[1], dtype=torch.bool, device=others.device)
    if contrast == "ence":
        push = torch.exp(others / (2 * temperature)).masked_fill(itself, 0).sum(-1) / max(1, others.shape[1] - 1)
        return (0.5 * torch.exp(-own[..., 0] / (2 * temperature)) + 0.5 * push).flatten()
    logits = torch.cat([own, others.masked_fill(itself, SELF)], dim=-1).flatten(0, 1) / temperature
    return cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device), reduction="none")


def draw_patches(positions: int, count: int) -> Tensor:
    """Return up to `count` different positions at random, the same in every process and drawn on the CPU."""
    return torch.randperm(positions, generator=SHARED)[:count]


def choose(feature: Tensor, count: int, queries: Queries) -> Tensor:
    """Return how patches are taken from a feature map (B, C, H, W): positions (N,), or weights (B, N, H * W).

    random: positions, the same for all images of the batch, as the original CUT does. attention: query-selected
    attention, global variant (Hu et al., 2022; arXiv 2203.08483): every position attends to all, and the N positions
    with the sharpest attention (least entropy) route features by it. Maps of more than 4096 positions stay random.
    """
    positions = feature.shape[2] * feature.shape[3]
    if queries == "random" or positions > MOST:
        return draw_patches(positions, count).to(feature.device)
    rows = wide(feature.detach()).flatten(2).transpose(1, 2)
    attention = torch.softmax(rows @ rows.transpose(1, 2), dim=-1)
    entropy = -(attention * attention.clamp_min(1e-12).log()).sum(-1)
    sharpest = entropy.argsort(dim=1)[:, :count]
    return attention.gather(1, sharpest[..., None].expand(-1, -1, positions))


def take(feature: Tensor, chosen: Tensor) -> Tensor:
    """Return the patches (B, N, C) of a feature map (B, C, H, W) that `choose` chose."""
    rows = feature.flatten(2).transpose(1, 2)
    return rows[:, chosen] if chosen.dim() == 1 else chosen.to(rows.dtype) @ rows
