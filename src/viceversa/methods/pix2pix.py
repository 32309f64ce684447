"""pix2pix: paired translation with a conditional GAN (Isola, Zhu, Zhou, Efros, 2017; arXiv 1611.07004)."""

from __future__ import annotations

from collections.abc import Iterator

from torch import cat, nn
from torch.nn.functional import l1_loss

from viceversa.config import ConfigError, Direction
from viceversa.losses.content import deviation
from viceversa.methods.base import Batch, Method, Networks, Translators, Update
from viceversa.nets.projected import ProjectedDiscriminator


class Pix2Pix(Method):
    """A generator G: x -> y and a discriminator D(x, y) that sees both images of a pair.

    Args:
        direction: Which domain is x and which is y.
        l1: Weight of the L1 distance between G(x) and y, lambda in the paper.
        feature: Weight of the L1 distance between what discriminator=projected sees in G(x) and in y, not in the paper.
        deviation: Weight of the squared distance of the standard deviations within areas of G(x) and y, against gray.
    """

    needs_pairs = True

    def __init__(
        self, make: Networks, *, direction: Direction = "AtoB", l1: float = 100.0, feature: float = 0.0,
        deviation: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.direction, self.l1, self.feature, self.deviation = direction, l1, feature, deviation
        self.x, self.y = direction.split("to")
        self.G = make.generator(self.x, self.y)
        self.D = make.discriminator(self.x, self.y)
        self.gan = make.objective()
        if feature and not isinstance(self.D, ProjectedDiscriminator):
            raise ConfigError("method.feature: compares frozen features; add discriminator=projected")

    def step(self, batch: Batch) -> Iterator[Update]:
        x, y = batch[self.x], batch[self.y]
        fake = self.G(x)
        real_pair, fake_pair = (self.D.look(cat([x, image], dim=1)) for image in (y, fake))

        yield Update("D", gan_D=self.gan.discriminator(self.D.judge, real=real_pair, fake=fake_pair))  # Eq. 1

        losses = {
            "gan_G": self.gan.generator(self.D.judge(fake_pair)),
            "l1": self.l1 * l1_loss(fake, y),  # Eq. 3
        }
        if self.feature:
            losses["feature"] = self.feature * l1_loss(fake_pair, real_pair.detach())
        if self.deviation:
            losses["deviation"] = self.deviation * deviation(fake, y)
        yield Update("G", **losses)

    def groups(self) -> dict[str, list[nn.Module]]:
        return {"G": [self.G], "D": [self.D]}

    def translators(self) -> Translators:
        return {self.direction: self.G}
