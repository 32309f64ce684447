"""The ResNet generator of CycleGAN, and of CUT when it is antialiased; and CUT's projection heads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu

from viceversa.config.schema import Count, Natural

from .base import Generator, Probability
from .blocks import ResidualBlock, Upsample, channels_of, make_down, make_stem, make_up, walk
from .layers import Clamp, ConvNorm, InstanceNorm, Padding

SKIPPED = 8  # features of the input that the head sees beside it
OPEN = 2.0  # sigmoid(2) = 0.88: a mask that starts shut stays shut where the whole picture must change


class ResNetGenerator(Generator):
    """Go down, change the image in residual blocks, come up again (Johnson et al., 2016; Zhu et al., 2017).

    The defaults are CycleGAN's generator for 256 px; 6 blocks are usual for 128 px. CUT's is `antialias=True,
    upsample="blur"`. Normalised outputs (`output_norm`) have zero mean and unit variance in every channel of every
    image, so the network cannot choose brightness, tint or contrast, the cycle and identity losses cannot fall below a
    floor, and training gets stuck. The originals have none; the switch shows it.

    Args:
        width: Channels of the first layer; each halving of the image doubles them.
        blocks: Residual blocks.
        downs: Times the image is halved on the way down, and doubled on the way up.
        norm: Normalisation. instance_affine has learned scales and shifts, for imported weights. standardised is of the
            weights and uses no statistics of the picture: no blobs, and tiles fit; with upsample=resize or blur.
        dropout: Probability of dropout inside the residual blocks; the originals' switch is 0.5.
        padding: How the residual blocks see beyond the edge; the first and last layer reflect, as the originals' do.
        upsample: transposed convolution, resize (nearest) then convolution, blur (bilinear) then convolution, or
            pixelshuffle.
        antialias: Blur before halving, as CUT does; goes with upsample=blur.
        mask: Also predict where to paint, and keep the input elsewhere. For changes of one thing in a picture, not of
            its whole style.
        skip: Let the last layer see the input, too, and a few features of it that are not normalised: what stays need
            not be learned through the normalised layers, so training is ahead from the start.
        relight: Also predict how much more or less light each pixel has than in the input, the same for all channels:
            so what gets darker also loses contrast. For changes of light, such as day to night.
        output: How the last layer is kept within [-1, 1]: tanh, as the originals do, or clamp, whose gradient also
            brings back pixels that have become black or white.
        output_norm: Normalise the output. It hurts: brightness, tint and contrast are then out of reach.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, width: Count = 64, blocks: Natural = 9, downs: Natural = 2,
        norm: ConvNorm = "instance", dropout: Probability = 0.0, padding: Padding = "reflect",
        upsample: Upsample = "transposed", antialias: bool = False, mask: bool = False, skip: bool = False,
        relight: bool = False, output: Literal["tanh", "clamp"] = "tanh", output_norm: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if (mask or relight) and in_channels != out_channels:
            option = "mask" if mask else "relight"
            raise ValueError(
                f"{option}=true keeps parts of the input, so input and output need equal channels, not {in_channels} "
                f"and {out_channels}; turn {option} off or make the channels equal"
            )
        self.multiple = 2**downs
        self.mask, self.relight, self.dropout = mask, relight, dropout
        self.each_alone = norm != "batch" and not dropout
        steps = list(pairwise(width * 2**i for i in range(downs + 1)))
        inner = width * 2**downs
        self.stem = make_stem(in_channels, width, norm)
        self.downs = nn.Sequential(*(make_down(a, b, norm, antialias) for a, b in steps))
        self.blocks = nn.Sequential(
            *(ResidualBlock(inner, norm=norm, dropout=dropout, padding=padding) for _ in range(blocks))
        )
        self.ups = nn.Sequential(*(make_up(b, a, norm, upsample) for a, b in reversed(steps)))
        self.skip = nn.Conv2d(in_channels, SKIPPED, 3, padding=1, padding_mode="reflect") if skip else None
        seen = width + in_channels + SKIPPED if skip else width
        self.head = nn.Conv2d(seen, out_channels + mask + relight, 7, padding=3, padding_mode="reflect")
        self.output_norm = InstanceNorm(out_channels) if output_norm else nn.Identity()
        self.bound = nn.Tanh() if output == "tanh" else Clamp()

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, H, W) in [-1, 1]; H and W multiples of `multiple`."""
        return self._painted(x, self._inner(x))

    def translate_with_features(self, x: Tensor, names: Sequence[str]) -> tuple[Tensor, list[Tensor]]:
        """Return the translation of x and its named feature maps; one pass does for both, unless there is dropout."""
        if not self.blocks or self.dropout:
            return super().translate_with_features(x, names)
        seen = dict(self.taps(x))
        return self._painted(x, seen[f"block{len(self.blocks)}"]), [seen[name] for name in names]

    @torch.no_grad()
    def adjust_first_weights(self) -> None:
        """Begin near a copy of the input, where the head sees it: the rest of the head is kept small."""
        if self.skip is None:
            return
        first = self.head.in_channels - SKIPPED - self.skip.in_channels
        self.head.weight *= 0.3
        for channel in range(min(self.skip.in_channels, self.head.out_channels - self.mask - self.relight)):
            # tanh(1.2 x) is about x
            self.head.weight[channel, first + channel, 3, 3] = 1.2 if isinstance(self.bound, nn.Tanh) else 1.0

    def attention(self, x: Tensor) -> Tensor | None:
        """Return the mask, (B, 1, H, W) in [0, 1], or None without one."""
        return self.paint(x, self._inner(x))[1] if self.mask else None

    def paint(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the new picture and where it goes (Mejjati et al., 2018; Tang et al., 2019)."""
        h = self.ups(h)
        raw = self.head(h if self.skip is None else torch.cat([h, x.to(h.dtype), relu(self.skip(x)).to(h.dtype)], 1))
        mask = None
        if self.mask:
            raw, mask = raw[:, :-1], torch.sigmoid(raw[:, -1:] + OPEN)
        if self.relight:
            raw, light = raw[:, :-1], raw[:, -1:]
            raw = raw + light * (x + 1)  # -1 is black, which has no light to gain or to lose
        return self.bound(self.output_norm(raw)), mask

    def _inner(self, x: Tensor) -> Tensor:
        h: Tensor = self.blocks(self.downs(self.stem(x)))
        return h

    def _painted(self, x: Tensor, h: Tensor) -> Tensor:
        content, mask = self.paint(x, h)
        return content if mask is None else mask * content + (1 - mask) * x

    def taps(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield the padded input, the convolutions on the way down before their norm, and each block's result.

        With `antialias` and two downs these are the positions of CUT's layers 0, 4, 8, 12 (block1), 16 (block5).
        """
        yield "input", pad(x, [3, 3, 3, 3], mode="reflect")
        yield from walk(self._named_layers(), self.stem(x))

    def tap_channels(self) -> dict[str, int]:
        """Return the channels of each of `taps`."""
        assert isinstance(self.stem.conv, nn.Conv2d)
        return {"input": self.stem.conv.in_channels, **channels_of(self._named_layers())}

    def _named_layers(self) -> list[tuple[str, nn.Module]]:
        downs = [(f"down{i}", layer) for i, layer in enumerate(self.downs, 1)]
        return downs + [(f"block{i}", layer) for i, layer in enumerate(self.blocks, 1)]


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
        return [rows / (rows.norm(dim=-1, keepdim=True) + 1e-7) for rows in projected]
