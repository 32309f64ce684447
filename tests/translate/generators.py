"""Small generators, weights files of them, and how to translate with them."""

from pathlib import Path

import torch
from torch import Tensor

from support import noise
from viceversa.data.image_io import write_image
from viceversa.nets import GENERATORS
from viceversa.nets.base import Generator
from viceversa.nets.vae import VariationalGenerator
from viceversa.nets.weights import Card, save_generator
from viceversa.registry import create
from viceversa.translate import TranslateOptions, TranslateResult, translate_images
from viceversa.translator import Translator

SMALL = {"name": "resnet", "width": 4, "blocks": 1}
CODED = {"name": "resnet_vae", "width": 4, "blocks": 2, "latent": 4, "norm": "instance"}
TIED = {"name": "vae1", "width": 4, "downs": 3, "latent": 8, "norm": "instance"}


def make(spec: dict = SMALL, channels: tuple[int, int] = (3, 3), inference: str = "running") -> tuple[Generator, Card]:
    torch.manual_seed(0)
    net = create(GENERATORS, "generator", spec, *channels, size=64)
    return net, Card(spec, *channels, 64, "AtoB", inference, {"step": 7})


def weights_of(path: Path, *args: object, **options: object) -> Path:
    save_generator(path, *make(*args, **options))
    return path


def coded(spec: dict = CODED, logvar: float = 0.0) -> tuple[VariationalGenerator, Translator]:
    """A variational generator with this log-variance everywhere, and its translator."""
    net, card = make(spec)
    for layer in net.logvar.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.constant_(layer.bias, logvar)
    return net.eval(), Translator(net, card)


class Same(Generator):
    """Returns its input; insists on the promised multiple."""

    multiple = 8

    def __init__(self, size: int | None = None) -> None:
        super().__init__()
        self.size, self.seen = size, list[Tensor]()

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        assert all(side % self.multiple == 0 for side in x.shape[2:])
        return x


def same(channels: tuple[int, int] = (3, 3), size: int | None = None) -> Translator:
    return Translator(Same(size), make(channels=channels)[1])


def images(folder: Path, *names: str) -> Path:
    for name in names:
        write_image(folder / name, noise(20, 24, 3))
    return folder


def go(weights: Path, source: Path, out: str = "out", **options: object) -> TranslateResult:
    target = source.parent / out
    return translate_images(weights, str(source), target, TranslateOptions(device="cpu", **options))
