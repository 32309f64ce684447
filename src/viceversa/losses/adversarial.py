"""Adversarial objectives: what a discriminator and a generator want, as losses over patch logits, in float32.

`discriminator` is the whole loss of D, halved as in the originals so that D learns slower than G (Zhu et al. 2017,
Sec. 7.1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss, relu

Critic: TypeAlias = Callable[[Tensor], Tensor]


class Objective:
    """Base of all objectives; a subclass says what is wanted of the logits of real and of fake images.

    Args:
        r1: Weight (gamma) of the penalty of D's slope at real images (Mescheder et al., 2018, Eq. 9); 0 turns it off.
    """

    r1 = 0.0  # for subclasses that have options of their own
    batch_norm = True
    """Whether D may normalise by statistics of the batch."""

    def __init__(self, *, r1: float = 0.0) -> None:
        self.r1 = r1

    def real(self, logits: Tensor) -> Tensor:
        """Return D's loss on real images."""
        raise NotImplementedError

    def fake(self, logits: Tensor) -> Tensor:
        """Return D's loss on translated images."""
        raise NotImplementedError

    def generator(self, logits: Tensor) -> Tensor:
        """Return G's loss, given D's logits of its translations."""
        return self.real(logits)

    def discriminator(self, D: Critic, *, real: Tensor, fake: Tensor) -> Tensor:
        """Return D's loss; no gradient flows into `fake`."""
        loss_fake = self.fake(D(fake.detach()))  # first, as in the originals: batch norm keeps count of the order
        loss = 0.5 * (loss_fake + self.real(D(real)))
        return loss + 0.5 * self.r1 * gradient_norms(D, real).square().mean() if self.r1 else loss


class LSGAN(Objective):
    """Least squares (Mao et al., 2017): logits of real images to 1, of fakes to 0."""

    def real(self, logits: Tensor) -> Tensor:
        return mse_loss(to_float32(logits), torch.ones_like(to_float32(logits)))

    def fake(self, logits: Tensor) -> Tensor:
        return to_float32(logits).square().mean()


class Vanilla(Objective):
    """The original GAN's cross entropy, in its non-saturating form (Goodfellow et al., 2014)."""

    def real(self, logits: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(to_float32(logits), torch.ones_like(to_float32(logits)))

    def fake(self, logits: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(to_float32(logits), torch.zeros_like(to_float32(logits)))


class Hinge(Objective):
    """Hinge (Lim and Ye, 2017): D only cares about logits inside the margin of 1."""

    def real(self, logits: Tensor) -> Tensor:
        return relu(1 - to_float32(logits)).mean()

    def fake(self, logits: Tensor) -> Tensor:
        return relu(1 + to_float32(logits)).mean()

    def generator(self, logits: Tensor) -> Tensor:
        return -to_float32(logits).mean()


class WGANGP(Objective):
    """Wasserstein distance with a gradient penalty (Gulrajani et al., 2017, Eq. 3).

    The penalty asks for gradients of norm 1 between real and fake images, image by image, so D must not mix them by
    batch normalisation. It is halved like the rest of D's loss, so its weight is the paper's lambda.

    Args:
        penalty: Weight of the gradient penalty, lambda in the paper.
    """

    batch_norm = False

    def __init__(self, *, penalty: float = 10.0) -> None:
        self.penalty = penalty

    def real(self, logits: Tensor) -> Tensor:
        return -to_float32(logits).mean()

    def fake(self, logits: Tensor) -> Tensor:
        return to_float32(logits).mean()

    def discriminator(self, D: Critic, *, real: Tensor, fake: Tensor) -> Tensor:
        critic = super().discriminator(D, real=real, fake=fake)
        share = torch.rand(len(real), 1, 1, 1, device=real.device, dtype=real.dtype)  # a draw for each image
        slopes = gradient_norms(D, share * real + (1 - share) * fake.detach())
        return critic + 0.5 * self.penalty * (slopes - 1).square().mean()


def gradient_norms(D: Critic, images: Tensor) -> Tensor:
    """Return the norm of the gradient of D's summed logits at each image, (B,); it can be minimised itself."""
    images = images.detach().requires_grad_()
    (slope,) = torch.autograd.grad(to_float32(D(images)).sum(), images, create_graph=True)
    norms: Tensor = to_float32(slope).flatten(1).norm(dim=1)
    return norms


def to_float32(x: Tensor) -> Tensor:
    """Return `x` in float32, or as it is when it is float64."""
    return x if x.dtype == torch.float64 else x.float()
