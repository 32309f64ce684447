"""Variational generators whose code is a small image, so that they take pictures of any size."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import Annotated, Literal, TypeAlias

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import elu, interpolate

from viceversa.config.schema import Count, Natural

from .base import Probability
from .blocks import Block, ResidualBlock, Upsample, make_down, make_stem, make_up
from .layers import BatchNorm, Norm
from .vae import Layers, VariationalGenerator

ResNorm: TypeAlias = Literal["batch", "group"]


class ResNetVAE(VariationalGenerator):
    """CycleGAN's ResNet with a distribution in its middle: the one of source 000's four that worked.

    The code is an image of `latent` channels and an eighth of the picture's height and width.

    Args:
        width: Channels of the first layer; each halving of the image doubles them.
        blocks: Residual blocks, half of them before the code and half after it, so an even number.
        downs: Times the image is halved on the way to the code.
        latent: Channels of the code.
        norm: Normalisation: batch as in the source; with one picture per step instance is the better choice.
            instance_affine has learned scales and shifts, for imported weights.
        dropout: Probability of dropout inside the residual blocks.
        upsample: transposed convolution, resize (nearest) then convolution, blur (bilinear) then convolution, or
            pixelshuffle.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, width: Count = 64, blocks: Natural = 6, downs: Natural = 3,
        latent: Count = 64, norm: Norm = "batch", dropout: Probability = 0.0, upsample: Upsample = "transposed",
    ) -> None:  # fmt: skip
        super().__init__()
        if blocks % 2:
            raise ValueError(f"blocks={blocks} cannot be halved: half come before the code; use an even number")
        self.multiple = 2**downs
        steps = list(pairwise(width * 2**i for i in range(downs + 1)))
        inner, half = width * 2**downs, blocks // 2

        encoder: Layers = OrderedDict(stem=make_stem(in_channels, width, norm))
        for i, (a, b) in enumerate(steps, 1):
            encoder[f"down{i}"] = make_down(a, b, norm)
        decoder: Layers = OrderedDict(project=nn.Conv2d(latent, inner, 1))
        for i in range(1, half + 1):
            encoder[f"block{i}"] = ResidualBlock(inner, norm=norm, dropout=dropout)
            decoder[f"block{i}"] = ResidualBlock(inner, norm=norm, dropout=dropout)
        for i, (a, b) in enumerate(reversed(steps), 1):
            decoder[f"up{i}"] = make_up(b, a, norm, upsample)
        decoder["pad"] = nn.ReflectionPad2d(3)
        decoder["head"] = nn.Conv2d(width, out_channels, 7)

        self.encoder = nn.Sequential(encoder)
        self.mean = nn.Conv2d(inner, latent, 1)
        self.logvar = nn.Conv2d(inner, latent, 1)
        self.decoder = nn.Sequential(decoder)


class PreBlock(Block):
    """A residual block that normalises and activates first (He et al., 2016b), and may halve or double the image.

    Where the shape changes, the first convolution also computes the shortcut, in its first `out_channels` channels.
    """

    def __init__(self, in_channels: int, out_channels: int, *, norm: ResNorm, scale: float = 1) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.inner = (out_channels if scale < 1 else in_channels) // 2
        self.scale = scale
        both = self.inner if scale == 1 else self.inner + out_channels
        self.norm1 = make_res_norm(norm, in_channels)
        self.conv1 = nn.Conv2d(in_channels, both, 3, stride=2 if scale < 1 else 1, padding=1)
        self.norm2 = make_res_norm(norm, self.inner)
        self.conv2 = nn.Conv2d(self.inner, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, H * scale, W * scale)."""
        h = elu(self.norm1(x))
        if self.scale > 1:
            h = interpolate(h, scale_factor=self.scale, mode="nearest")
        h = self.conv1(h)
        if self.scale != 1:
            x, h = torch.split(h, [self.out_channels, self.inner], dim=1)
        out: Tensor = x + self.conv2(elu(self.norm2(h)))
        return out


def make_res_norm(kind: ResNorm, channels: int) -> nn.Module:
    """Return the normalisation of a `PreBlock`."""
    if kind == "batch":
        return BatchNorm(channels, eps=1e-4)
    if channels % 8:
        raise ValueError(f"norm=group makes 8 groups, which {channels} channels do not; use a width divisible by 8")
    return nn.GroupNorm(8, channels, eps=1e-4)


class ResVAE(VariationalGenerator):
    """Source 000's RESVAE, after LukeDitria/CNN-VAE: many parameters (51 M), hard to train long enough.

    The code is an image of `latent` channels and a sixteenth of the picture's height and width.

    Args:
        width: Channels of the first layer; each halving of the image doubles them.
        blocks: Residual blocks before the code, and again after it.
        downs: Times the image is halved on the way to the code.
        latent: Channels of the code.
        norm: Normalisation; group makes 8 groups.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, width: Annotated[int, Field(ge=2)] = 64, blocks: Natural = 1,
        downs: Natural = 4, latent: Count = 256, norm: ResNorm = "batch",
    ) -> None:  # fmt: skip
        super().__init__()
        self.multiple = 2**downs
        steps = list(pairwise(width * 2**i for i in range(downs + 1)))
        inner = width * 2**downs

        encoder: Layers = OrderedDict(stem=nn.Conv2d(in_channels, width, 3, padding=1))
        for i, (a, b) in enumerate(steps, 1):
            encoder[f"down{i}"] = PreBlock(a, b, norm=norm, scale=0.5)
        decoder: Layers = OrderedDict(project=nn.Conv2d(latent, inner, 1))
        for i in range(1, blocks + 1):
            encoder[f"block{i}"] = PreBlock(inner, inner, norm=norm)
            decoder[f"block{i}"] = PreBlock(inner, inner, norm=norm)
        encoder["active"] = nn.ELU()
        for i, (a, b) in enumerate(reversed(steps), 1):
            decoder[f"up{i}"] = PreBlock(b, a, norm=norm, scale=2)
        decoder["active"] = nn.ELU()
        decoder["head"] = nn.Conv2d(width, out_channels, 5, padding=2)

        self.encoder = nn.Sequential(encoder)
        self.mean = nn.Conv2d(inner, latent, 1)
        self.logvar = nn.Conv2d(inner, latent, 1)
        self.decoder = nn.Sequential(decoder)
