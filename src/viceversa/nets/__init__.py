"""Networks: the tables of contents. A new one is a file and a line here."""

from __future__ import annotations

from copy import deepcopy

import torch

from viceversa.config import ConfigError

from .base import Discriminator, Generator
from .patchgan import PatchGAN, PixelGAN
from .projected import ProjectedDiscriminator
from .resnet import ResNetGenerator
from .unet import UNetGenerator
from .vae import VAE1, VAEGAN, ResNetVAE, ResVAE, VariationalGenerator

__all__ = ["DISCRIMINATORS", "GENERATORS", "Discriminator", "Generator", "VariationalGenerator", "refuse_small"]

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
    "projected": ProjectedDiscriminator,
}


def refuse_small(net: Generator | Discriminator, channels: int, *, size: int, batch: int) -> None:
    """Raise ConfigError if a network can train on larger images only than those of `size` pixels; it tries that."""
    if isinstance(net, Generator) and size >= 64:  # enough for any
        return
    copy = deepcopy(net).train()
    copy._apply(lambda x: torch.empty(x.shape, dtype=x.dtype, device="cpu"))  # type: ignore[no-untyped-call]  # as `to_empty` imports torch's compiler

    def takes(side: int) -> bool:
        try:
            with torch.device("cpu"), torch.no_grad():
                copy(torch.zeros(batch, channels, side, side))
        except (RuntimeError, ValueError):
            return False
        return True

    # The first is the quickest to try. Where a large one fails, too, its size is not the reason.
    if takes(min(size, 128)) or takes(size) or not takes(2 * max(size, 128)):
        return
    remedy = "generator.downs" if isinstance(net, Generator) else "discriminator.layers"
    raise ConfigError(f"data.crop={size}: {type(net).__name__} needs larger images; raise it, or lower {remedy}")
