"""Variational generators (Kingma and Welling, 2014): the picture passes through a distribution on its way."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, TypeAlias

import torch
from pydantic import Field
from torch import Tensor, nn

from viceversa.config.schema import Count, Natural

from .base import Generator, Probability
from .blocks import PreBlock, ResidualBlock, ResNorm, Stage, Upsample, channels_of, make_down, make_stem, make_up, walk
from .layers import NORMS, Norm

Stages: TypeAlias = OrderedDict[str, nn.Module]
LOGVAR_RANGE = (-30.0, 20.0)  # exp() of it stays finite, also in half precision where sampling halves it


class VariationalGenerator(Generator):
    """A generator with a distribution over codes in its middle; a subclass builds its four parts."""

    encoder: nn.Sequential
    mean: nn.Module
    logvar: nn.Module
    decoder: nn.Sequential

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, the latter in [-30, 20], of the codes of (B, in, H, W)."""
        self._check_size(x)
        h = self.encoder(x)
        return self.mean(h), self.logvar(h).clamp(*LOGVAR_RANGE)

    def sample(self, mean: Tensor, logvar: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw codes from the distribution, from the given or the global random numbers; gradients pass through."""
        device = mean.device if generator is None else generator.device
        noise = torch.randn(mean.shape, generator=generator, device=device, dtype=mean.dtype)
        return mean + torch.exp(0.5 * logvar) * noise.to(mean.device)

    def decode(self, z: Tensor) -> Tensor:
        """Turn codes into pictures (B, out, H, W) in [-1, 1]."""
        return torch.tanh(self.decoder(z))

    def translate_with_code(self, x: Tensor, *, sample: bool) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the translation of x through a drawn code or the mean, and the code's mean and log-variance."""
        mean, logvar = self.encode(x)
        return self.decode(self.sample(mean, logvar) if sample else mean), (mean, logvar)

    def forward(self, x: Tensor) -> Tensor:
        """Translate (B, in, H, W) to (B, out, H, W) with the most probable code: always the same answer."""
        self._check_size(x)
        return self.decode(self.mean(self.encoder(x)))

    def taps(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield the input and the encoder's layers; convolutions before their norm."""
        self._check_size(x)
        yield "input", x
        yield from walk(self.encoder.named_children(), x)

    def tap_channels(self) -> dict[str, int]:
        """Return the channels of the named ones of `taps`."""
        first = next(module for module in self.encoder.modules() if isinstance(module, nn.Conv2d))
        named = [(name, layer) for name, layer in self.encoder.named_children() if name.startswith(("down", "block"))]
        return {"input": first.in_channels, **channels_of(named)}

    def _check_size(self, x: Tensor) -> None:
        if self.size is not None and tuple(x.shape[-2:]) != (self.size, self.size):
            raise ValueError(
                f"this {type(self).__name__} is tied to {self.size}x{self.size} px and was given "
                f"{x.shape[-1]}x{x.shape[-2]}; resize the image, or use resnet_vae, which takes any size"
            )


def pyramid(in_channels: int, widths: list[int], norm: Norm, active: nn.Module, *, bias: bool, first: Norm) -> Stages:
    """Return stages `down1, down2, ...`, each a 4x4 convolution that halves the image; `first` is down1's norm."""
    layers: Stages = OrderedDict()
    for i, (a, b) in enumerate(pairwise([in_channels, *widths]), 1):
        conv = nn.Conv2d(a, b, 4, stride=2, padding=1, bias=bias)
        layers[f"down{i}"] = Stage(conv, NORMS[first if i == 1 else norm](b), active)
    return layers


def climb(widths: list[int], out_channels: int, norm: Norm, active: nn.Module, *, bias: bool) -> Stages:
    """Return stages `up1, up2, ...`, each a 4x4 transposed convolution that doubles the image, and the `head`."""
    layers: Stages = OrderedDict()
    for i, (a, b) in enumerate(pairwise(widths), 1):
        conv = nn.ConvTranspose2d(a, b, 4, stride=2, padding=1, bias=bias)
        layers[f"up{i}"] = Stage(conv, NORMS[norm](b), active)
    layers["head"] = nn.ConvTranspose2d(widths[-1], out_channels, 4, stride=2, padding=1, bias=bias)
    return layers


class VAE1(VariationalGenerator):
    """Halvings, then linear layers to a vector and back, which hold most of the parameters.

    Args:
        width: Channels of the first layer; each halving of the image doubles them.
        downs: Times the image is halved before the linear layers.
        latent: Length of the code.
        norm: Normalisation: batch as in the source; with one picture per step instance is the better choice.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, size: int, width: Count = 64, downs: Count = 4,
        latent: Count = 64, norm: Norm = "batch",
    ) -> None:  # fmt: skip
        super().__init__()
        step = 2**downs
        side = size // step
        if size % step or side < 2:
            raise ValueError(f"vae1 halves {downs} times: its size must be {2 * step}, {3 * step}, ... px, not {size}")
        self.size = self.multiple = size
        widths = [width * 2**i for i in range(downs)]
        numbers = widths[-1] * side * side
        active = nn.ELU(0.2)
        down = pyramid(in_channels, widths, norm, active, bias=True, first=norm)
        up = climb(widths[::-1], out_channels, norm, active, bias=True)
        self.encoder = nn.Sequential(OrderedDict(**down, flatten=nn.Flatten()))
        self.mean = nn.Linear(numbers, latent)
        self.logvar = nn.Linear(numbers, latent)
        project, unflatten = nn.Linear(latent, numbers), nn.Unflatten(1, (widths[-1], side, side))
        self.decoder = nn.Sequential(OrderedDict(project=project, unflatten=unflatten, **up))


class VAEGAN(VariationalGenerator):
    """A DCGAN discriminator and generator back to back (Larsen et al., 2016).

    Its source draws a random code at inference too; here only `sample` does.

    Args:
        width: Channels of the first layer; each halving of the image, down to 4x4, doubles them.
        latent: Channels of the code.
        norm: Normalisation; the first layer has none.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, size: int, width: Count = 64, latent: Count = 64,
        norm: Norm = "batch",
    ) -> None:  # fmt: skip
        super().__init__()
        if size < 8 or size & (size - 1):
            raise ValueError(f"vaegan halves the image down to 4x4: its size must be 8, 16, 32, ... px, not {size}")
        self.size = self.multiple = size
        widths = [width * 2**i for i in range(size.bit_length() - 3)]
        active = nn.LeakyReLU(0.2)
        self.encoder = nn.Sequential(pyramid(in_channels, widths, norm, active, bias=False, first="none"))
        self.mean = nn.Conv2d(widths[-1], latent, 4)
        self.logvar = nn.Conv2d(widths[-1], latent, 4)
        entry = nn.ConvTranspose2d(latent, widths[-1], 4, bias=False)
        project: Stages = OrderedDict(project=Stage(entry, NORMS[norm](widths[-1]), active))
        self.decoder = nn.Sequential(project | climb(widths[::-1], out_channels, norm, active, bias=False))


class ResNetVAE(VariationalGenerator):
    """CycleGAN's ResNet with a distribution in its middle: of the four the one that worked.

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

        encoder: Stages = OrderedDict(stem=make_stem(in_channels, width, norm))
        for i, (a, b) in enumerate(steps, 1):
            encoder[f"down{i}"] = make_down(a, b, norm)
        decoder: Stages = OrderedDict(project=nn.Conv2d(latent, inner, 1))
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


class ResVAE(VariationalGenerator):
    """Residual blocks that normalise first, as in LukeDitria's CNN-VAE: 51 M parameters, hard to train long enough.

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

        encoder: Stages = OrderedDict(stem=nn.Conv2d(in_channels, width, 3, padding=1))
        for i, (a, b) in enumerate(steps, 1):
            encoder[f"down{i}"] = PreBlock(a, b, norm=norm, scale=0.5)
        decoder: Stages = OrderedDict(project=nn.Conv2d(latent, inner, 1))
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
