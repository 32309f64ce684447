"""Networks: the tables of contents. A new one is one file and one line here."""

from __future__ import annotations

from .base import Discriminator, Generator
from .layers import init_weights, set_inference
from .patchgan import PatchGAN, PixelGAN
from .receptive import output_size, receptive_field
from .resnet import ResNetGenerator
from .unet import UNetGenerator
from .vae import VAE1, VAEGAN, VariationalGenerator
from .vae_resnet import ResNetVAE, ResVAE

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

__all__ = [
    "DISCRIMINATORS",
    "GENERATORS",
    "VAE1",
    "VAEGAN",
    "Discriminator",
    "Generator",
    "PatchGAN",
    "PixelGAN",
    "ResNetGenerator",
    "ResNetVAE",
    "ResVAE",
    "UNetGenerator",
    "VariationalGenerator",
    "init_weights",
    "output_size",
    "receptive_field",
    "set_inference",
]
