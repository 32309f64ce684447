"""CycleGAN (Zhu et al., 2017) whose generators are variational autoencoders (Kingma and Welling, 2014)."""

from __future__ import annotations

from collections.abc import Iterator

from torch.nn.functional import l1_loss, mse_loss

from viceversa.losses.variational import KL, Nats, Passes, Reduction, Steps
from viceversa.methods.base import Batch, Networks, Update
from viceversa.methods.coded import Coded, variational
from viceversa.methods.two_way import TwoWay


class CycleGANVAE(TwoWay):
    """G: X -> Y and F: Y -> X must undo each other and translate through codes, drawn in training only.

    Args:
        cycle_x: Weight of the cycle x -> G(x) -> F(G(x)).
        cycle_y: Weight of the cycle y -> F(y) -> G(F(y)).
        identity: Weight of L1(G(y), y), as a share of the cycle weight.
        pool: Past translations that the discriminators also see; 0 turns the memory off.
        kl: Weight of the codes' KL divergence from the unit Gaussian.
        kl_on: Codes that pay it: all that are drawn, or only the translations' as in source 000.
        kl_reduction: Mean over a code's numbers, or their sum as in the textbook.
        kl_warmup: Steps during which the weight of the KL divergence rises to its full value.
        free_bits: Nats of KL divergence that each channel of a code has for free.
        reconstruction: Weight of MSE(G(y), y), what an autoencoder of y with Gaussian noise minimises.
        cross_reconstruction: Weight of source 000's MSE(G(x), x) and MSE(G(F(y)), F(y)). These compare pictures of two
            worlds and so pull a translation to its own input, against the discriminators; better left at 0.
        sample: Draw the codes; false trains with their means.
    """

    def __init__(
        self, make: Networks, *, cycle_x: float = 10.0, cycle_y: float = 10.0, identity: float = 0.5, pool: int = 50,
        kl: float = 0.1, kl_on: Passes = "all", kl_reduction: Reduction = "mean", kl_warmup: Steps = 0,
        free_bits: Nats = 0.0, reconstruction: float = 1.0, cross_reconstruction: float = 0.0, sample: bool = True,
    ) -> None:  # fmt: skip
        same = {"identity": identity, "reconstruction": reconstruction, "cross_reconstruction": cross_reconstruction}
        for key in (key for key, weight in same.items() if weight):
            make.require_same_channels(f"method.{key}", "it compares a generator's output with its input")
        super().__init__(make, pool=pool)
        variational(self.G)
        self.cycle_x, self.cycle_y, self.identity, self.sample = cycle_x, cycle_y, identity, sample
        self.reconstruction, self.cross_reconstruction = reconstruction, cross_reconstruction
        self.kl = KL(kl, on=kl_on, reduction=kl_reduction, warmup=kl_warmup, free_bits=free_bits)

    def step(self, batch: Batch) -> Iterator[Update]:
        x, y = batch["A"], batch["B"]
        G, F = Coded(self.G, sample=self.sample), Coded(self.F, sample=self.sample)
        fake_y, fake_x = G(x), F(y)
        back_x, back_y = F(fake_y), G(fake_x)
        losses = {
            "gan_G": self.gan.generator(self.D_Y(fake_y)),
            "gan_F": self.gan.generator(self.D_X(fake_x)),
            "cycle_X": self.cycle_x * l1_loss(back_x, x),
            "cycle_Y": self.cycle_y * l1_loss(back_y, y),
        }
        if self.identity or self.reconstruction:
            same_y, same_x = G(y), F(x)
            if self.identity:
                losses["identity_G"] = self.identity * self.cycle_y * l1_loss(same_y, y)
                losses["identity_F"] = self.identity * self.cycle_x * l1_loss(same_x, x)
            if self.reconstruction:
                losses["reconstruction_G"] = self.reconstruction * mse_loss(same_y, y)
                losses["reconstruction_F"] = self.reconstruction * mse_loss(same_x, x)
        if self.cross_reconstruction:
            losses["cross_G"] = self.cross_reconstruction * (mse_loss(fake_y, x) + mse_loss(back_y, fake_x))
            losses["cross_F"] = self.cross_reconstruction * (mse_loss(fake_x, y) + mse_loss(back_x, fake_y))
        if self.kl.weight:
            losses["kl_G"], losses["kl_F"] = self.kl(G.codes, F.codes)
        yield Update("G", **losses)

        gan_D_Y = self.gan.discriminator(self.D_Y, real=y, fake=self.pool_Y(fake_y))
        gan_D_X = self.gan.discriminator(self.D_X, real=x, fake=self.pool_X(fake_x))
        yield Update("D", gan_D_Y=gan_D_Y, gan_D_X=gan_D_X)
