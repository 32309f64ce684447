"""Networks: the tables of contents, and from a description to a network. A new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from viceversa import registry
from viceversa.config import ConfigError

from .base import Discriminator, Generator
from .patchgan import PatchGAN, PixelGAN
from .resnet import ResNetGenerator
from .unet import UNetGenerator
from .vae import VAE1, VAEGAN, VariationalGenerator
from .vae_resnet import ResNetVAE, ResVAE

__all__ = ["DISCRIMINATORS", "GENERATORS", "Discriminator", "Generator", "VariationalGenerator"]
__all__ += ["build_discriminator", "build_generator"]

GENERATORS: dict[str, type[Generator]] = {
    "resnet": ResNetGenerator,
    "unet": UNetGenerator,
    "vae1": VAE1,
    "vaegan": VAEGAN,
    "resnet_vae": ResNetVAE,
    "res_vae": ResVAE,
}

DISCRIMINATORS: dict[str, type[Discriminator]] = {
    "patchgan": PatchGAN,
    "pixelgan": PixelGAN,
}

Net = TypeVar("Net", Generator, Discriminator)


def build_generator(
    spec: Mapping[str, Any], in_channels: int, out_channels: int, *, size: int, batch: int | None = None
) -> Generator:
    """Return the generator that `spec` describes; `size` (pixels) is for networks that are tied to one.

    Raises ConfigError for options that do not fit and, if the size of a batch is named and only the configuration is
    checked (on the meta device), for images that are too small to train on.
    """
    net = _build(GENERATORS, "generator", spec, size, in_channels, out_channels)
    if batch and size < 64 and _is_meta(net):
        _refuse_small(net, spec, (batch, in_channels, size), net.multiple, "halve the image less often")
    return net


def build_discriminator(
    spec: Mapping[str, Any], channels: int, *, size: int, batch: int | None = None
) -> Discriminator:
    """Return the discriminator that `spec` describes, of images with `channels` channels; the rest as above."""
    net = _build(DISCRIMINATORS, "discriminator", spec, size, channels)
    if batch and _is_meta(net):
        remedy = "lower discriminator.layers" if "layers" in spec else "use another discriminator"
        _refuse_small(net, spec, (batch, channels, size), 1, remedy)
    return net


def _real(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")


def _is_meta(net: nn.Module) -> bool:
    return any(parameter.is_meta for parameter in net.parameters())


def _refuse_small(net: nn.Module, spec: Mapping[str, Any], shape: tuple[int, int, int], step: int, remedy: str) -> None:
    """Raise ConfigError if the network can train on larger images (batch, channels, size) only.

    It tries, with a copy on the CPU: on the meta device torch would import its compiler.
    """
    copy, (batch, channels, size) = deepcopy(net).train(), shape
    copy._apply(_real)  # type: ignore[no-untyped-call]  # to_empty would import it, too

    def takes(side: int) -> bool:
        try:
            with torch.device("cpu"), torch.no_grad():
                copy(torch.zeros(batch, channels, side, side))
        except (RuntimeError, ValueError):
            return False
        return True

    if takes(min(size, 128)) or takes(size):  # what takes small images takes large ones, in more time
        return
    enough = next((side for side in (64, 128, 256, 512, 1024) if side > size and takes(side)), None)
    if enough:
        smallest = next(filter(takes, range(size + step, enough, step)), enough)
        raise ConfigError(f"data.crop={size}: the {spec['name']} needs {smallest} px or more; raise it, or {remedy}")


def _build(table: registry.Table[Net], section: str, spec: Mapping[str, Any], size: int, *channels: int) -> Net:
    try:
        return registry.create(table, section, spec, *channels, size=size)
    except ValueError as error:
        raise ConfigError(f"{section}: {error}") from None
