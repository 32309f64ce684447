"""A generator, an objective and a metric of your own, to copy and change.

viceversa train cyclegan generator=my_parts:Retint objective=my_parts:Smooth data.root=FOLDER
viceversa --import my_parts evaluate RUN --metrics contrast      (both in the folder of this file)
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from viceversa.config.schema import Count
from viceversa.losses import Objective
from viceversa.metrics import METRICS
from viceversa.metrics.base import RGBImage
from viceversa.metrics.paired import Paired
from viceversa.nets.base import Generator


class Retint(Generator):
    """Gives every pixel a new colour that depends on its old colour alone.

    Args:
        width: Channels of the hidden layers.
        layers: Hidden layers.
    """

    def __init__(self, in_channels: int, out_channels: int, *, width: Count = 32, layers: Count = 2) -> None:
        super().__init__()
        widths = [in_channels, *[width] * layers]
        hidden = [nn.Sequential(nn.Conv2d(a, b, 1), nn.ReLU()) for a, b in pairwise(widths)]
        self.net = nn.Sequential(*hidden, nn.Conv2d(width, out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """From (B, in, H, W) in [-1, 1] to (B, out, H, W) in [-1, 1]."""
        return self.net(x).tanh()


class Smooth(Objective):
    """Least squares with one-sided label smoothing: D need not be sure of real images (Salimans et al., 2016).

    Args:
        target: What D's logits of real images should be.
    """

    def __init__(self, *, target: float = 0.9) -> None:
        self.target = target

    def real(self, logits: Tensor) -> Tensor:
        """The loss of logits that should say real."""
        return (logits.float() - self.target).square().mean()

    def fake(self, logits: Tensor) -> Tensor:
        """The loss of logits that should say fake."""
        return logits.float().square().mean()


def contrast(image: RGBImage, truth: RGBImage) -> float:
    """How far the contrast of a translation is from that of its true answer, in levels of 255."""
    return abs(float(image.std()) - float(truth.std()))


METRICS["contrast"] = lambda inside, load, seed, device: Paired("contrast", contrast)
