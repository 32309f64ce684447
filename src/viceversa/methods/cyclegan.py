"""CycleGAN: unpaired translation with cycle consistency (Zhu, Park, Isola, Efros, 2017; arXiv 1703.10593)."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.nn.functional import l1_loss

from viceversa.methods.base import Batch, Method, Networks, Translators, Update
from viceversa.methods.pool import ImagePool


class CycleGAN(Method):
    """Two generators, G: X -> Y and F: Y -> X, that must undo each other.

    X is world A, Y is world B; D_Y judges translations into Y, D_X those into X.

    Args:
        cycle_x: Weight of the cycle x -> G(x) -> F(G(x)), lambda in the paper.
        cycle_y: Weight of the cycle y -> F(y) -> G(F(y)).
        identity: Weight of the identity loss, as a share of the cycle weight; it preserves colours. 0 turns it off.
        pool: Past translations that the discriminators also see; 0 turns the memory off.
    """

    def __init__(
        self, make: Networks, *, cycle_x: float = 10.0, cycle_y: float = 10.0, identity: float = 0.5, pool: int = 50
    ) -> None:
        super().__init__()
        self.cycle_x, self.cycle_y, self.identity = cycle_x, cycle_y, identity
        if identity:
            make.require_same_channels("method.identity", "G(y) is compared with y")
        self.G, self.F = make.generator("A", "B"), make.generator("B", "A")
        self.D_X, self.D_Y = make.discriminator("A"), make.discriminator("B")
        self.pool_X, self.pool_Y = ImagePool(pool), ImagePool(pool)
        self.gan = make.objective()

    def step(self, batch: Batch) -> Iterator[Update]:
        x, y = batch["A"], batch["B"]
        fake_y, fake_x = self.G(x), self.F(y)

        losses = {
            "gan_G": self.gan.generator(self.D_Y(fake_y)),  # Eq. 1
            "gan_F": self.gan.generator(self.D_X(fake_x)),
            "cycle_X": self.cycle_x * l1_loss(self.F(fake_y), x),  # Eq. 2
            "cycle_Y": self.cycle_y * l1_loss(self.G(fake_x), y),
        }
        if self.identity:  # Sec. 5.2
            losses["identity_G"] = self.identity * self.cycle_y * l1_loss(self.G(y), y)
            losses["identity_F"] = self.identity * self.cycle_x * l1_loss(self.F(x), x)
        yield Update("G", **losses)

        yield Update(
            "D",
            gan_D_Y=self.gan.discriminator(self.D_Y, real=y, fake=self.pool_Y(fake_y)),
            gan_D_X=self.gan.discriminator(self.D_X, real=x, fake=self.pool_X(fake_x)),
        )

    def groups(self) -> dict[str, list[nn.Module]]:
        return {"G": [self.G, self.F], "D": [self.D_X, self.D_Y]}

    def translators(self) -> Translators:
        return {"AtoB": self.G, "BtoA": self.F}
