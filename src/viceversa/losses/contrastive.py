"""Patchwise contrast: a patch of the translation should be recognisable as that of the input at the same place.

PatchNCE of CUT (Park, Efros, Zhang, Zhu, 2020; arXiv 2007.15651, Eq. 3) and its exponential variant.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from viceversa.losses.adversarial import to_float32
from viceversa.seeds import SHARED

Contrast: TypeAlias = Literal["infonce", "ence"]
Negatives: TypeAlias = Literal["image", "batch"]
Sampling: TypeAlias = Literal["random", "attention"]

SELF = -10.0  # stands for a patch's similarity with itself among the negatives: never mistaken for one
ROWS = 1024  # positions whose attention is in memory at once while the sharpest are looked for


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
    query, key = to_float32(query), to_float32(key)
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


def draw_positions(feature: Tensor, count: int) -> Tensor:
    """Return up to `count` random positions (N,) in a map (B, C, H, W), the same for all its images and processes."""
    return torch.randperm(feature.shape[2] * feature.shape[3], generator=SHARED)[:count].to(feature.device)


def attend(feature: Tensor, count: int) -> Tensor:
    """Return the weights (B, N, H * W) by which the N sharpest positions of a feature map (B, C, H, W) attend to all.

    Query-selected attention, global (Hu et al., 2022; arXiv 2203.08483): every position attends to all others, and
    those of least entropy are selected. As in the authors' code, the weights pass a gradient to the feature map.
    """
    rows = to_float32(feature).flatten(2).transpose(1, 2)
    columns = rows.transpose(1, 2)
    with torch.no_grad():
        entropy = torch.cat([_entropy(part @ columns) for part in torch.split(rows, ROWS, dim=1)], dim=1)
    sharpest = entropy.argsort(dim=1)[:, :count]
    selected = rows.gather(1, sharpest[..., None].expand(-1, -1, rows.shape[2]))
    return torch.softmax(selected @ columns, dim=-1)


def take(feature: Tensor, chosen: Tensor) -> Tensor:
    """Return the patches (B, N, C) of a feature map (B, C, H, W) at positions (N,), or by weights (B, N, H * W)."""
    rows = feature.flatten(2).transpose(1, 2)
    return rows[:, chosen] if chosen.dim() == 1 else chosen.to(rows.dtype) @ rows


def _entropy(logits: Tensor) -> Tensor:
    logs = torch.log_softmax(logits, dim=-1)
    return -(logs.exp() * logs).sum(-1)
