"""A discriminator that judges frozen features of pictures (Sauer, Chitta, Müller, Geiger, 2021; arXiv 2111.01007)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate

from viceversa.config.schema import Count, Natural

from .base import Discriminator
from .features import STRIDES, FeaturesName, FrozenFeatures
from .layers import spectral
from .patchgan import Alteration, Augment, PatchGAN

Scales: TypeAlias = Annotated[int, Field(ge=1, le=len(STRIDES))]

SMALLEST = 128
"""Pixels a side that the frozen network sees at least; smaller pictures are enlarged."""
LOGITS = 8
"""Side of a head's map of logits, at most."""


class ProjectedDiscriminator(Discriminator):
    """Small heads on what a network that has learned ImageNet sees in a picture, at four scales.

    Fixed random projections mix the channels of each map, and coarse maps into finer ones, so that no head can rest on
    the most obvious features alone (Sec. 3.2). Only the heads learn, and they carry a spectral norm.

    `look` returns rows of numbers, (B, 1, 1, N): the projected maps and, for the PatchGAN, the pixels. So gradient
    penalties, pools and objectives treat them as they treat images.

    Args:
        features: The frozen network: lite1, lite0 (less deep), or timm:NAME, any network of timm's.
        side: Pixels a side that it sees, a multiple of 32; null: as many as the image has, but at least 128.
        scales: How many of its maps are judged, of strides 4, 8, 16 and 32, from the finest.
        mix: Random projections: of scales and channels, of channels alone, or none.
        projected: Channels of the projections.
        coordinates: Show each head where it looks, so that an eye is not real in the place of a mouth.
        width: Channels of the heads' first layer.
        pixels: Channels of a PatchGAN that judges the pixels beside the heads; 0: none.
        layers: Times that it halves the image.
        augment: Alterations of all pictures it judges, for small data sets: color, shift, cutout.
        strength: How strong they are; 1 is as strong as patchgan's.
    """

    def __init__(
        self, in_channels: int, *, features: FeaturesName = "lite1", side: Count | None = None, scales: Scales = 4,
        mix: Literal["scales", "channels", "none"] = "scales", projected: Count = 64,
        coordinates: bool = False, width: Count = 64, pixels: Natural = 32, layers: Count = 2,
        augment: tuple[Alteration, ...] = (), strength: Annotated[float, Field(ge=0, le=1)] = 1.0, size: int = 64,
        channels: Sequence[int] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        side = side or max(SMALLEST, -(-size // 32) * 32)
        if side % 32:
            raise ValueError(f"side={side}: must be a multiple of 32")
        self.channels = list(channels) or [in_channels]
        self.augment = Augment(augment, strength)
        self.features, self.stamp = FrozenFeatures(features, side), FeaturesStamp(features)
        sides = [side // stride for stride in STRIDES[:scales]]
        widths = [count * len(self.channels) for count in self.features.channels[:scales]]
        kept = widths if mix == "none" else [projected] * scales
        self.mix_channels, self.mix_scales = nn.ModuleList(), nn.ModuleList()
        for scale in range(scales):
            if mix != "none":
                self.mix_channels.append(RandomProjection(widths[scale], projected, seed=2 * scale))
            if mix == "scales":
                self.mix_scales.append(RandomProjection(projected, projected, seed=2 * scale + 1))
        self.coordinates = coordinates
        self.heads = nn.ModuleList(_head(c + 2 * coordinates, width, s) for c, s in zip(kept, sides, strict=True))
        self.shapes = [(s, s, c) for c, s in zip(kept, sides, strict=True)]
        self.patchgan: nn.Module | None = None
        if pixels:
            self.patchgan = PatchGAN(in_channels, width=pixels, layers=layers, norm="spectral", tail=False)
            self.shapes.append((size, size, in_channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to logits (B, heads, h, w); each head counts alike."""
        return self.judge(self.look(x))

    def look(self, x: Tensor) -> Tensor:
        """Return the projected maps of images (B, C, H, W), altered if they are to be, as rows (B, 1, 1, N)."""
        x = self.augment(x)
        apart = [self.features(image)[: len(self.heads)] for image in torch.split(x, self.channels, dim=1)]
        return self.project([torch.cat(maps, dim=1) for maps in zip(*apart, strict=True)], x)

    def project(self, maps: Sequence[Tensor], x: Tensor) -> Tensor:
        """Return the projection of the frozen maps of images, and the images if a PatchGAN is to see them, as rows."""
        if self.mix_channels:
            maps = [mix(found) for mix, found in zip(self.mix_channels, maps, strict=False)]
        mixed = [maps[len(self.heads) - 1]]
        for scale in reversed(range(len(self.heads) - 1)):
            finer = maps[scale]
            if self.mix_scales:
                coarser = interpolate(mixed[0], scale_factor=2.0, mode="bilinear", align_corners=False)
                finer = self.mix_scales[scale]((finer + coarser) / 2**0.5)
            mixed.insert(0, finer)
        seen = [*mixed, x] if self.patchgan else mixed
        rows = [found.permute(0, 2, 3, 1).flatten(1) for found in seen]
        return torch.cat(rows, dim=1)[:, None, None]

    def judge(self, seen: Tensor) -> Tensor:
        """Return logits (B, heads, h, w), the coarser ones repeated."""
        rows = torch.split(seen.flatten(1), [math.prod(shape) for shape in self.shapes], dim=1)
        maps = [found.view(-1, *shape).permute(0, 3, 1, 2) for found, shape in zip(rows, self.shapes, strict=True)]
        if self.coordinates:
            maps[: len(self.heads)] = map(with_coordinates, maps[: len(self.heads)])
        heads = [*self.heads, self.patchgan] if self.patchgan else self.heads
        logits = [head(found).to(seen.dtype) for head, found in zip(heads, maps, strict=True)]
        side = max(found.shape[-1] for found in logits)
        return torch.cat([interpolate(found, (side, side), mode="nearest-exact") for found in logits], dim=1)


def with_coordinates(x: Tensor) -> Tensor:
    """Append x and y, -1 to 1, to a map (B, C, H, W): (B, C + 2, H, W) (CoordConv: Liu et al., 2018; arXiv 1807.03247).

    They are scaled to weigh about half as much as C channels of unit mean square: two among 64 would hardly be heard.
    """
    rows, columns = (torch.linspace(-1, 1, side, device=x.device, dtype=x.dtype) for side in x.shape[2:])
    places = torch.stack(torch.meshgrid(columns, rows, indexing="xy")) * (x.shape[1] ** 0.5 / 2)
    return torch.cat([x, places.expand(len(x), -1, -1, -1)], dim=1)


class FeaturesStamp(nn.Module):
    """Keeps in a state_dict which weights the frozen network has, and refuses to load what others trained with."""

    sha256: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        digits = torch.empty(16, dtype=torch.uint8)
        if not digits.is_meta:
            digits = torch.tensor(list(bytes.fromhex(FrozenFeatures(name).sha256[:32])), dtype=torch.uint8)
        self.name = name
        self.register_buffer("sha256", digits)

    def _load_from_state_dict(  # type: ignore[no-untyped-def]
        self, state_dict, prefix, metadata, strict, missing, unexpected, errors
    ) -> None:
        mine = self.sha256.clone()
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, missing, unexpected, errors)
        if not torch.equal(self.sha256, mine):
            self.sha256.copy_(mine)
            errors.append(f"{self.name}: its weights are not those that this was trained with")


class RandomProjection(nn.Module):
    """A fixed random 1x1 convolution, which keeps the mean square of its input on average."""

    weight: Tensor

    def __init__(self, in_channels: int, out_channels: int, *, seed: int) -> None:
        super().__init__()
        chance = torch.Generator().manual_seed(seed)
        weight = torch.randn(out_channels, in_channels, 1, 1, generator=chance, device="cpu") / in_channels**0.5
        self.register_buffer("weight", weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, H, W)."""
        return conv2d(x, self.weight)


def _head(channels: int, width: int, side: int) -> nn.Sequential:
    """Return the layers from a projected map to its logits: halved until there are few, then one look around."""
    layers: list[nn.Module] = []
    while side > LOGITS:
        layers += [spectral(nn.Conv2d(channels, width, 4, stride=2, padding=1)), nn.LeakyReLU(0.2)]
        channels, width, side = width, 2 * width, side // 2
    layers += [spectral(nn.Conv2d(channels, width, 3, padding=1)), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, spectral(nn.Conv2d(width, 1, 3, padding=1)))
