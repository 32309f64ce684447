"""The U-Net generator of pix2pix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from viceversa.config.schema import Count

from .base import Generator, Probability
from .blocks import Stage, Upsample, make_upsample
from .layers import NORMS, Norm

UNetDepth: TypeAlias = Annotated[int, Field(ge=2)]


class UNetGenerator(Generator):
    """Go down to a single pixel and up again, with a shortcut at every size (Isola et al., 2017).

    The picture's layout is handed across the shortcuts, so input and output should be aligned. Parameters: 54.41 M
    with 8 levels and 41.83 M with 7 at full width.

    Args:
        width: Channels of the first level; they double at each level up to 8 times as many.
        depth: Times the image is halved: 8 is the original's U-Net for 256 px, 7 the one for 128 px.
        norm: Normalisation. instance_affine has learned scales and shifts, for imported weights.
        upsample: transposed convolution as in the paper; or resize (nearest) or blur (bilinear), then convolution,
            which leave no grid.
        dropout: Probability of dropout in the widest levels on the way up, where pix2pix gets its randomness. There
            are depth - 5 of them.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, width: Count = 64, depth: UNetDepth = 8, norm: Norm = "batch",
        upsample: Literal["transposed", "resize", "blur"] = "transposed", dropout: Probability = 0.5,
    ) -> None:  # fmt: skip
        super().__init__()
        self.multiple = 2**depth
        self.each_alone = norm != "batch" and not dropout
        bias = norm != "batch"
        widths = [width * min(2**i, 8) for i in range(depth)]

        self.downs = nn.ModuleList()
        for i, channels in enumerate(widths):
            conv = nn.Conv2d(widths[i - 1] if i else in_channels, channels, 4, stride=2, padding=1, bias=bias)
            normed = 0 < i < depth - 1  # neither the pixels nor the single innermost value are normalised
            self.downs.append(Stage(conv, NORMS[norm if normed else "none"](channels), active=nn.Identity()))

        self.ups = nn.ModuleList()
        for i in reversed(range(1, depth)):
            joined = widths[i] if i == depth - 1 else 2 * widths[i]
            conv_up = _doubling(upsample, joined, widths[i - 1], bias)
            widest = i < depth - 1 and widths[i] == widths[i - 1]
            self.ups.append(Stage(conv_up, NORMS[norm](widths[i - 1]), active=nn.Dropout(dropout if widest else 0.0)))
        self.head = _doubling(upsample, 2 * width, out_channels, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, H, W) in [-1, 1]; H and W multiples of `multiple`."""
        skips: list[Tensor] = []
        for down in self.downs:
            x = down(leaky_relu(x, 0.2) if skips else x)
            skips.append(x)
        h = skips.pop()
        for up in self.ups:
            h = torch.cat([skips.pop(), up(relu(h))], 1)
        return torch.tanh(self.head(relu(h)))

    def taps(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield the input and the convolutions on the way down before their norm."""
        yield "input", x
        for number, down in enumerate(self.downs, 1):
            assert isinstance(down, Stage)
            h = down.conv(leaky_relu(x, 0.2) if number > 1 else x)
            yield f"down{number}", h
            x = down.finish(h)

    def tap_channels(self) -> dict[str, int]:
        """Return the channels of each of `taps`."""
        convs = [module for module in self.downs.modules() if isinstance(module, nn.Conv2d)]
        return {"input": convs[0].in_channels, **{f"down{i}": c.out_channels for i, c in enumerate(convs, 1)}}


def _doubling(kind: Upsample, in_channels: int, out_channels: int, bias: bool) -> nn.Module:
    """Return the convolution on the way up: the paper's 4x4 transposed one, or one after the image is enlarged."""
    if kind == "transposed":
        return nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1, bias=bias)
    return make_upsample(kind, in_channels, out_channels, bias=bias)
