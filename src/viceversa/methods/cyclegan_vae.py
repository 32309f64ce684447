"""CycleGAN through codes: CycleGAN (Zhu et al., 2017) with variational generators (Kingma and Welling, 2014)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt
from torch import Tensor, stack
from torch.nn.functional import l1_loss, mse_loss

from viceversa.config import ConfigError
from viceversa.losses.variational import Reduction, WarmUp, kl
from viceversa.methods.base import Batch, Networks, Update
from viceversa.methods.two_way import TwoWay
from viceversa.nets import GENERATORS, VariationalGenerator


class CycleGANVAE(TwoWay):
    """CycleGAN whose G and F draw a code on every pass of the training; trained, they translate with its mean.

    Args:
        cycle_x: ...
    """

    G: VariationalGenerator
    F: VariationalGenerator
