"""What CycleGAN and its relatives are made of: two worlds, and a way from each to the other."""

from __future__ import annotations

from torch import nn

from viceversa.methods.base import Method, Networks, Translators
from viceversa.methods.pool import ImagePool


class TwoWay(Method):
    """Two generators, G: X -> Y and F: Y -> X, and for each world a discriminator with a pool of past translations.

    X is world A, Y is world B; D_Y judges translations into Y, D_X those into X.
    """

    def __init__(self, make: Networks, *, pool: int) -> None:
        super().__init__()
        self.G, self.F = make.generator("A", "B"), make.generator("B", "A")
        self.D_X, self.D_Y = make.discriminator("A"), make.discriminator("B")
        self.pool_X, self.pool_Y = ImagePool(pool), ImagePool(pool)
        self.gan = make.objective()

    def groups(self) -> dict[str, list[nn.Module]]:
        return {"G": [self.G, self.F], "D": [self.D_X, self.D_Y]}

    def translators(self) -> Translators:
        return {"AtoB": self.G, "BtoA": self.F}
