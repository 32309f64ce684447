"""CycleGAN: unpaired translation with cycle consistency (Zhu, Park, Isola, Efros, 2017; arXiv 1703.10593)."""

from __future__ import annotations

from collections.abc import Iterator

from torch.nn.functional import l1_loss

from viceversa.losses.content import Content, Pixels
from viceversa.methods.base import Batch, Networks, Update
from viceversa.methods.passes import Passes
from viceversa.methods.two_way import TwoWay


class CycleGAN(TwoWay):
    """Two generators, G: X -> Y and F: Y -> X, that must undo each other.

    Args:
        cycle_x: Weight of the cycle x -> G(x) -> F(G(x)), lambda in the paper.
        cycle_y: Weight of the cycle y -> F(y) -> G(F(y)).
        identity: Weight of the identity loss, as a share of the cycle weight; it preserves colours. 0 turns it off.
        pool: Past translations that the discriminators also see; 0 turns the memory off.
        content: Weight of the distance of G(x) to x itself, not in the paper; against inverted colours (source 001).
        content_blur: Blur both before comparing their content, so that details are free.
        content_pool: Average both over squares of so many pixels before comparing their content.
    """

    def __init__(
        self, make: Networks, *, cycle_x: float = 10.0, cycle_y: float = 10.0, identity: float = 0.5, pool: int = 50,
        content: float = 0.0, content_blur: bool = False, content_pool: Pixels = 1,
    ) -> None:  # fmt: skip
        if identity:
            make.require_same_channels("method.identity", "G(y) is compared with y")
        if content:
            make.require_same_channels("method.content", "G(x) is compared with x")
        super().__init__(make, pool=pool)
        self.cycle_x, self.cycle_y, self.identity = cycle_x, cycle_y, identity
        self.content = Content(content, blur=content_blur, pool=content_pool)

    def step(self, batch: Batch) -> Iterator[Update]:
        x, y = batch["A"], batch["B"]
        G, F = Passes(self.G), Passes(self.F)
        fake_y, fake_x = G(x, later=y if self.identity else None), F(y, later=x if self.identity else None)
        losses = {
            "gan_G": self.gan.generator(self.D_Y(fake_y)),  # Eq. 1
            "gan_F": self.gan.generator(self.D_X(fake_x)),
            "cycle_X": self.cycle_x * l1_loss(F(fake_y), x),  # Eq. 2
            "cycle_Y": self.cycle_y * l1_loss(G(fake_x), y),
        }
        if self.identity:  # Sec. 5.2
            losses["identity_G"] = self.identity * self.cycle_y * l1_loss(G(y), y)
            losses["identity_F"] = self.identity * self.cycle_x * l1_loss(F(x), x)
        if self.content:
            losses |= {"content_G": self.content(fake_y, x), "content_F": self.content(fake_x, y)}
        yield Update("G", **losses)

        gan_D_Y = self.gan.discriminator(self.D_Y, real=y, fake=self.pool_Y(fake_y))
        gan_D_X = self.gan.discriminator(self.D_X, real=x, fake=self.pool_X(fake_x))
        yield Update("D", gan_D_Y=gan_D_Y, gan_D_X=gan_D_X)
