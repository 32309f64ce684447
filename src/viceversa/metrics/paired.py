"""How far pictures are from their true answers, one by one."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viceversa.metrics.base import Metric, MissingExtra, Picture, Reference, Value
from viceversa.metrics.weights import ALEXNET, in_hub


def psnr(image: Picture, truth: Picture) -> float:
    """Return the peak signal-to-noise ratio in dB of two uint8 pictures of the same shape; infinite if equal."""
    error = float(np.mean(np.square(_difference(image, truth))))
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def l1(image: Picture, truth: Picture) -> float:
    """Return the mean absolute difference of two uint8 pictures of the same shape, as a share of white (0 to 1)."""
    return float(np.mean(np.abs(_difference(image, truth)))) / 255


def ssim(image: Picture, truth: Picture) -> float:
    """Return the structural similarity of two uint8 pictures of the same shape, 11 pixels or more each side.

    1 if they are equal. As its authors compute it (Wang et al., 2004): a Gaussian window of sigma 1.5, 11 pixels wide,
    wherever it lies wholly inside; but each colour by itself, and their mean. torchmetrics also counts windows that
    reach over the edge, which changes the third decimal.
    """
    try:
        from skimage.metrics import structural_similarity
    except ModuleNotFoundError:
        raise MissingExtra("scikit-image") from None
    _difference(image, truth)
    if min(image.shape[:2]) < 11:
        raise ValueError(f"SSIM needs pictures of 11 pixels or more each side, not {image.shape[1]} x {image.shape[0]}")
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(structural_similarity(image, truth, channel_axis=2, data_range=255, **window))


def _difference(image: Picture, truth: Picture) -> NDArray[np.float64]:
    if image.shape != truth.shape or image.dtype != np.uint8 or truth.dtype != np.uint8:
        kinds = f"{image.shape} {image.dtype} and {truth.shape} {truth.dtype}"
        raise ValueError(f"only uint8 pictures of the same shape can be compared, not {kinds}")
    return image.astype(np.float64) - truth


def _as_batch(image: Picture) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].float()


class Paired(Metric):
    """The mean over pictures of a number that compares each with its reference; spread: standard deviation."""

    reference: Reference = "truth"

    @abstractmethod
    def compare(self, picture: Picture, reference: Picture) -> float:
        """Return the number for one picture."""

    def note(self, picture: Picture, reference: Picture | None) -> Tensor:
        """Return the number as a vector of one."""
        assert reference is not None
        return torch.tensor([self.compare(picture, reference)], dtype=torch.float64)

    def value(self, notes: Tensor, real: Tensor | None = None) -> Value:
        """Return mean and standard deviation; equal pictures, of infinite PSNR, make both infinite."""
        mean = notes.mean().item()
        spread = notes.std(correction=0).item() if np.isfinite(mean) else float("inf")
        return Value(mean, spread, {"pictures": len(notes), "spread": "standard deviation over pictures"})


class Psnr(Paired):
    """Peak signal-to-noise ratio to the true answer, dB."""

    name = "psnr"
    higher_is_better = True

    def compare(self, picture: Picture, reference: Picture) -> float:
        """Return dB."""
        return psnr(picture, reference)


class L1(Paired):
    """Mean absolute difference to the true answer, a share of white."""

    name = "l1"

    def compare(self, picture: Picture, reference: Picture) -> float:
        """Return 0 to 1."""
        return l1(picture, reference)


class Cycle(Paired):
    """Mean absolute difference between a picture and itself translated there and back, a share of white."""

    name = "cycle"
    reference = "input"

    def compare(self, picture: Picture, reference: Picture) -> float:
        """Return 0 to 1."""
        return l1(picture, reference)


class Ssim(Paired):
    """Structural similarity to the true answer."""

    name = "ssim"
    higher_is_better = True

    def compare(self, picture: Picture, reference: Picture) -> float:
        """Return at most 1."""
        return ssim(picture, reference)


class Lpips(Paired):
    """Perceptual distance to the true answer: features of AlexNet, weighed as people see (Zhang et al., 2018).

    torchmetrics brings the weighing, torch's own cache or the network the 233 MB of AlexNet.
    """

    name = "lpips[alex]"

    def __init__(self, device: torch.device = torch.device("cpu")) -> None:
        try:
            from torchmetrics.image import LearnedPerceptualImagePatchSimilarity
        except ModuleNotFoundError:
            raise MissingExtra("torchmetrics") from None
        in_hub(ALEXNET)  # checked and in place, torchmetrics loads it without asking anybody
        self.device = device
        self.net = LearnedPerceptualImagePatchSimilarity("alex").to(device)

    @torch.inference_mode()
    def compare(self, picture: Picture, reference: Picture) -> float:
        """Return 0 (equal) to about 1."""
        _difference(picture, reference)
        if min(picture.shape[:2]) < 32:
            sides = f"{picture.shape[1]} x {picture.shape[0]}"
            raise ValueError(f"LPIPS needs pictures of 32 pixels or more each side, not {sides}")
        one, other = (_as_batch(p).to(self.device) / 127.5 - 1 for p in (picture, reference))
        self.net.reset()
        return float(self.net(one, other))
