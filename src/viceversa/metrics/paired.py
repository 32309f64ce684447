"""How far images are from their true answers, one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viceversa.metrics.base import Download, Metric, MetricValue, Reference, RGBImage, import_extra

ALEXNET = Download(
    "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
)


def psnr(image: RGBImage, truth: RGBImage) -> float:
    """Return the peak signal-to-noise ratio in dB of two uint8 images of the same shape; infinite if equal."""
    error = float(np.mean(np.square(_difference(image, truth))))
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def l1(image: RGBImage, truth: RGBImage) -> float:
    """Return the mean absolute difference of two uint8 images of the same shape, as a share of white (0 to 1)."""
    return float(np.mean(np.abs(_difference(image, truth)))) / 255


def ssim(image: RGBImage, truth: RGBImage) -> float:
    """Return the structural similarity of two uint8 images of the same shape, 11 pixels or more each side.

    As its authors compute it (Wang et al., 2004): a Gaussian window of sigma 1.5, 11 pixels wide, wherever it lies
    wholly inside; but each colour by itself, and their mean.
    """
    structural_similarity = import_extra("skimage.metrics", "scikit-image").structural_similarity
    _difference(image, truth)
    if min(image.shape[:2]) < 11:
        raise ValueError(f"SSIM needs images of 11 pixels or more each side, not {_sides(image)}")
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(structural_similarity(image, truth, channel_axis=2, data_range=255, **window))


class Lpips:
    """Perceptual distance of two images: features of AlexNet (233 MB), weighed as people see (Zhang et al., 2018)."""

    def __init__(self, device: torch.device = torch.device("cpu")) -> None:
        torchmetrics = import_extra("torchmetrics.image", "torchmetrics")
        ALEXNET.fetch()  # checked and in place, torchmetrics loads it without asking anybody
        self.device = device
        self.net = torchmetrics.LearnedPerceptualImagePatchSimilarity("alex").to(device)

    @torch.inference_mode()
    def __call__(self, image: RGBImage, truth: RGBImage) -> float:
        """Return 0 (equal) to about 1 for uint8 images of the same shape, 32 pixels or more each side."""
        _difference(image, truth)
        if min(image.shape[:2]) < 32:
            raise ValueError(f"LPIPS needs images of 32 pixels or more each side, not {_sides(image)}")
        pair = (torch.from_numpy(pixels.transpose(2, 0, 1).copy()).to(self.device) for pixels in (image, truth))
        self.net.reset()
        return float(self.net(*(pixels[None].float() / 127.5 - 1 for pixels in pair)))


def _difference(image: RGBImage, truth: RGBImage) -> NDArray[np.float64]:
    if image.shape != truth.shape or image.dtype != np.uint8 or truth.dtype != np.uint8:
        kinds = f"{image.shape} {image.dtype} and {truth.shape} {truth.dtype}"
        raise ValueError(f"only uint8 images of the same shape can be compared, not {kinds}")
    return image.astype(np.float64) - truth


def _sides(image: RGBImage) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"


class Paired(Metric):
    """The mean over images of a number that compares each with its reference; spread: standard deviation."""

    def __init__(
        self,
        name: str,
        compare: Callable[[RGBImage, RGBImage], float],
        *,
        reference: Reference = "truth",
        higher_is_better: bool = False,
    ) -> None:
        self.name = self.measures = name
        self.compare, self.reference, self.higher_is_better = compare, reference, higher_is_better

    def statistics(self, images: Sequence[RGBImage], references: Sequence[RGBImage] | None) -> Tensor:
        assert references is not None
        numbers = [self.compare(image, reference) for image, reference in zip(images, references, strict=True)]
        return torch.tensor(numbers, dtype=torch.float64)[:, None]

    def compute(self, statistics: Tensor, real: Tensor | None = None) -> MetricValue:
        mean = statistics.mean().item()
        spread = statistics.std(correction=0).item() if np.isfinite(mean) else float("inf")
        return MetricValue(mean, spread, {"pictures": len(statistics), "spread": "standard deviation over pictures"})
