"""CycleGAN: unpaired translation with cycle consistency (Zhu, Park, Isola, Efros, 2017; arXiv 1703.10593)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pydantic import PositiveInt
from torch.nn.functional import l1_loss

from viceversa.losses.content import content_distance
from viceversa.methods.base import Batch, Networks, TwoWayMethod, Update


class CycleGAN(TwoWayMethod):
    """Two generators, G: X -> Y and F: Y -> X, that must undo each other.

    Args:
        cycle_x: Weight of the cycle x -> G(x) -> F(G(x)), lambda in the paper.
        cycle_y: Weight of the cycle y -> F(y) -> G(F(y)).
        identity: Weight of the identity loss, as a share of the cycle weight; it preserves colours. 0 turns it off.
        pool: Past translations that the discriminators also see; 0 turns the memory off.
        content: Weight of the distance between G(x) and x itself, not in the paper; against inverted colours.
        content_blur: Blur both before comparing their content, so that details are free.
        content_pool: Average both over squares of so many pixels before comparing their content.
    """

    def __init__(
        self, make: Networks, *, cycle_x: float = 10.0, cycle_y: float = 10.0, identity: float = 0.5, pool: int = 50,
        content: float = 0.0, content_blur: bool = False, content_pool: PositiveInt = 1,
    ) -> None:  # fmt: skip
        make.require_same_channels(identity=identity, content=content)
        super().__init__(make, pool)
        self.cycle_x, self.cycle_y, self.identity = cycle_x, cycle_y, identity
        self.content, self.distance = content, partial(content_distance, blur=content_blur, pool=content_pool)

    def step(self, batch: Batch) -> Iterator[Update]:
        x, y = batch["A"], batch["B"]
        if self.identity:
            (fake_y, same_y), (fake_x, same_x) = self.G.each(x, y), self.F.each(y, x)
        else:
            fake_y, fake_x = self.G(x), self.F(y)
        seen_y, seen_x = self.D_Y.look(fake_y), self.D_X.look(fake_x)
        losses = {
            "gan_G": self.gan.generator(self.D_Y.judge(seen_y)),  # Eq. 1
            "gan_F": self.gan.generator(self.D_X.judge(seen_x)),
            "cycle_X": self.cycle_x * l1_loss(self.F(fake_y), x),  # Eq. 2
            "cycle_Y": self.cycle_y * l1_loss(self.G(fake_x), y),
        }
        if self.identity:  # Sec. 5.2
            losses["identity_G"] = self.identity * self.cycle_y * l1_loss(same_y, y)
            losses["identity_F"] = self.identity * self.cycle_x * l1_loss(same_x, x)
        if self.content:
            losses["content_G"] = self.content * self.distance(fake_y, x)
            losses["content_F"] = self.content * self.distance(fake_x, y)
        yield Update("G", **losses)

        gan_D_Y = self.gan.discriminator(self.D_Y.judge, real=self.D_Y.look(y), fake=self.pool_Y(seen_y))
        gan_D_X = self.gan.discriminator(self.D_X.judge, real=self.D_X.look(x), fake=self.pool_X(seen_x))
        yield Update("D", gan_D_Y=gan_D_Y, gan_D_X=gan_D_X)
