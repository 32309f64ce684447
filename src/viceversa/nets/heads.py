"""CUT's projection heads: from features of a generator to the space where patches are compared."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

EPSILON = 1e-7  # the original's guard of the division


class Projector(nn.Module):
    """A two-layer head H_l for each feature map, made at once from its number of channels (Park et al., 2020)."""

    def __init__(self, channels: Sequence[int], *, width: int = 256) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(c, width), nn.ReLU(), nn.Linear(width, width)) for c in channels
        )

    def forward(self, patches: Sequence[Tensor]) -> list[Tensor]:
        """Project patches (B, N, C) of each map to unit vectors (B, N, width)."""
        projected = [head(rows) for head, rows in zip(self.heads, patches, strict=True)]
        return [rows / (rows.norm(dim=-1, keepdim=True) + EPSILON) for rows in projected]
