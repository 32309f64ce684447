"""CycleGAN (Zhu et al., 2017) whose generators are variational autoencoders (Kingma and Welling, 2014)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pydantic import NonNegativeFloat, NonNegativeInt
from torch.nn.functional import l1_loss, mse_loss

from viceversa.losses.variational import KL, PaidCodes, Reduction
from viceversa.methods.base import Batch, Networks, TwoWayMethod, Update
from viceversa.nets import VariationalGenerator


class CycleGANVAE(TwoWayMethod):
    """G: X -> Y and F: Y -> X must undo each other and translate through codes, drawn in training only.

    Args:
        cycle_x: Weight of the cycle x -> G(x) -> F(G(x)).
        cycle_y: Weight of the cycle y -> F(y) -> G(F(y)).
        identity: Weight of L1(G(y), y), as a share of the cycle weight.
        pool: Past translations that the discriminators also see; 0 turns the memory off.
        kl: Weight of the codes' KL divergence from the unit Gaussian.
        kl_on: Codes that pay it: all, only the translation's, or those of each generator's last pass before identity.
        kl_reduction: Mean over a code's numbers, or their sum as in the textbook.
        kl_warmup: Steps during which the weight of the KL divergence rises to its full value.
        free_bits: Nats of KL divergence that each channel of a code has for free.
        reconstruction: Weight of MSE(G(y), y), what an autoencoder of y with Gaussian noise minimises.
        cross_reconstruction: Weight of MSE(G(x), x) and MSE(G(F(y)), F(y)), against the discriminators; better left 0.
        sample: Draw the codes; false trains with their means.
    """

    G: VariationalGenerator
    F: VariationalGenerator

    def __init__(
        self, make: Networks, *, cycle_x: float = 10.0, cycle_y: float = 10.0, identity: float = 0.5, pool: int = 50,
        kl: float = 0.1, kl_on: PaidCodes = "all", kl_reduction: Reduction = "mean", kl_warmup: NonNegativeInt = 0,
        free_bits: NonNegativeFloat = 0.0, reconstruction: float = 1.0, cross_reconstruction: float = 0.0,
        sample: bool = True,
    ) -> None:  # fmt: skip
        make.require_same_channels(identity=identity, reconstruction=reconstruction)
        make.require_same_channels(cross_reconstruction=cross_reconstruction)
        super().__init__(make, pool, VariationalGenerator)
        self.cycle_x, self.cycle_y, self.identity, self.sample = cycle_x, cycle_y, identity, sample
        self.reconstruction, self.cross_reconstruction = reconstruction, cross_reconstruction
        self.kl = KL(kl, on=kl_on, reduction=kl_reduction, warmup=kl_warmup, free_bits=free_bits)

    def step(self, batch: Batch) -> Iterator[Update]:
        x, y = batch["A"], batch["B"]
        G, F = (partial(net.translate_with_code, sample=self.sample) for net in (self.G, self.F))
        (fake_y, code_x), (fake_x, code_y) = G(x), F(y)
        (back_x, code_fake_y), (back_y, code_fake_x) = F(fake_y), G(fake_x)
        codes_G, codes_F = [code_x, code_fake_x], [code_y, code_fake_y]
        losses = {
            "gan_G": self.gan.generator(self.D_Y(fake_y)),
            "gan_F": self.gan.generator(self.D_X(fake_x)),
            "cycle_X": self.cycle_x * l1_loss(back_x, x),
            "cycle_Y": self.cycle_y * l1_loss(back_y, y),
        }
        if self.identity or self.reconstruction:
            (same_y, code_same_y), (same_x, code_same_x) = G(y), F(x)
            codes_G, codes_F = [*codes_G, code_same_y], [*codes_F, code_same_x]
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
            losses["kl_G"], losses["kl_F"] = self.kl(codes_G, codes_F)
        yield Update("G", **losses)

        gan_D_Y = self.gan.discriminator(self.D_Y, real=y, fake=self.pool_Y(fake_y))
        gan_D_X = self.gan.discriminator(self.D_X, real=x, fake=self.pool_X(fake_x))
        yield Update("D", gan_D_Y=gan_D_Y, gan_D_X=gan_D_X)
