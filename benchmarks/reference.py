"""The training step as the first implementations take it, to measure against: plain, eager, fp32.

Written from the papers and from what is known of their code: a pass of its own for every use of a network, a backward
pass for every discriminator, D frozen and thawed by `requires_grad`, Adam parameter by parameter, contiguous memory.
It shares neither networks nor losses with the toolkit; a test holds that both compute the same numbers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import torch
from reference_nets import PatchHeads, UNet, patchgan, resnet
from torch import Tensor, nn

from viceversa.config import Config

Losses = dict[str, Tensor]


def thaw(nets: Iterable[nn.Module], wanted: bool) -> None:
    """Have gradients computed for these networks, or not."""
    for net in nets:
        for parameter in net.parameters():
            parameter.requires_grad = wanted


class GANLoss(nn.Module):
    """Least squares, or cross entropy, against a target spread out to the size of the logits."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.loss = {"lsgan": nn.MSELoss, "vanilla": nn.BCEWithLogitsLoss}[name]()

    def forward(self, logits: Tensor, real: bool) -> Tensor:
        """Return the loss of logits that should say real, or not."""
        target = torch.tensor(1.0 if real else 0.0, dtype=logits.dtype)
        loss: Tensor = self.loss(logits, target.expand_as(logits))
        return loss


class Pool:
    """Fifty past images, in a list."""

    def __init__(self, size: int) -> None:
        self.size, self.images = size, list[Tensor]()

    def query(self, images: Tensor) -> Tensor:
        """Return old images half of the time."""
        if not self.size:
            return images
        answer = []
        for image in images.detach().chunk(len(images)):
            if len(self.images) < self.size:
                self.images.append(image)
            elif random.random() > 0.5:
                place = random.randrange(self.size)
                image, self.images[place] = self.images[place].clone(), image
            answer.append(image)
        return torch.cat(answer)


class Reference:
    """What the three have in common."""

    def __init__(self, config: Config) -> None:
        self.config, self.option = config, config.method
        self.gan = GANLoss(config.objective["name"])
        self.l1 = nn.L1Loss()

    def adam(self, *nets: nn.Module) -> torch.optim.Optimizer:
        """Return the optimiser of these networks."""
        parameters = [p for net in nets for p in net.parameters()]
        return torch.optim.Adam(parameters, self.config.train.lr, self.config.train.betas, foreach=False, fused=False)

    def resnet(self) -> nn.Sequential:
        """Return a generator."""
        o = self.config.generator
        return resnet(3, 3, width=o["width"], blocks=o["blocks"], downs=o["downs"], antialias=o["antialias"])

    def patchgan(self, channels: int) -> nn.Sequential:
        """Return a discriminator."""
        o = self.config.discriminator
        batch_norm = o["norm"] == "batch"
        return patchgan(channels, width=o["width"], layers=o["layers"], batch_norm=batch_norm, antialias=o["antialias"])

    def judge(self, D: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        """Carry out D's backward pass."""
        loss_real, loss_fake = self.gan(D(real), True), self.gan(D(fake.detach()), False)
        loss: Tensor = (loss_real + loss_fake) * 0.5
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    def step(self, x: Tensor, y: Tensor) -> Losses:
        """Take one step on pictures (B, 3, H, W) of both worlds."""
        raise NotImplementedError

    def networks(self) -> dict[str, nn.Module]:
        """Return the networks under the names that the toolkit's method gives them."""
        raise NotImplementedError


class CycleGANReference(Reference):
    """Zhu et al., 2017."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.G, self.F = self.resnet(), self.resnet()
        self.D_Y, self.D_X = self.patchgan(3), self.patchgan(3)
        self.optimizer_G, self.optimizer_D = self.adam(self.G, self.F), self.adam(self.D_Y, self.D_X)
        self.pool_Y, self.pool_X = Pool(self.option["pool"]), Pool(self.option["pool"])

    def step(self, x: Tensor, y: Tensor) -> Losses:
        cycle_x, cycle_y, identity = (self.option[key] for key in ("cycle_x", "cycle_y", "identity"))
        fake_y = self.G(x)
        back_x = self.F(fake_y)
        fake_x = self.F(y)
        back_y = self.G(fake_x)

        thaw([self.D_Y, self.D_X], False)
        self.optimizer_G.zero_grad()
        losses = {}
        if identity:
            losses["identity_G"] = self.l1(self.G(y), y) * cycle_y * identity
            losses["identity_F"] = self.l1(self.F(x), x) * cycle_x * identity
        losses["gan_G"], losses["gan_F"] = self.gan(self.D_Y(fake_y), True), self.gan(self.D_X(fake_x), True)
        losses["cycle_X"], losses["cycle_Y"] = self.l1(back_x, x) * cycle_x, self.l1(back_y, y) * cycle_y
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        self.optimizer_G.step()

        thaw([self.D_Y, self.D_X], True)
        self.optimizer_D.zero_grad()
        losses["gan_D_Y"] = self.judge(self.D_Y, y, self.pool_Y.query(fake_y))
        losses["gan_D_X"] = self.judge(self.D_X, x, self.pool_X.query(fake_x))
        self.optimizer_D.step()
        return losses

    def networks(self) -> dict[str, nn.Module]:
        return {"G": self.G, "F": self.F, "D_X": self.D_X, "D_Y": self.D_Y}


class Pix2PixReference(Reference):
    """Isola et al., 2017."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        o = config.generator
        self.G = UNet(3, 3, width=o["width"], depth=o["depth"], dropout=o["dropout"])
        self.D = self.patchgan(6)
        self.optimizer_G, self.optimizer_D = self.adam(self.G), self.adam(self.D)

    def step(self, x: Tensor, y: Tensor) -> Losses:
        fake = self.G(x)
        thaw([self.D], True)
        self.optimizer_D.zero_grad()
        losses = {"gan_D": self.judge(self.D, torch.cat([x, y], 1), torch.cat([x, fake], 1))}
        self.optimizer_D.step()

        thaw([self.D], False)
        self.optimizer_G.zero_grad()
        losses["gan_G"] = self.gan(self.D(torch.cat([x, fake], 1)), True)
        losses["l1"] = self.l1(fake, y) * self.option["l1"]
        (losses["gan_G"] + losses["l1"]).backward()  # type: ignore[no-untyped-call]
        self.optimizer_G.step()
        return losses

    def networks(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D}


TAPS = {"input": 0, "down1": 4, "down2": 8, "block1": 12, "block5": 16}  # places in the list of layers


class CUTReference(Reference):
    """Park et al., 2020, and FastCUT."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.G, self.D = self.resnet(), self.patchgan(3)
        width = config.generator["width"]
        channels = {"input": 3, "down1": 2 * width, "down2": 4 * width, "block1": 4 * width, "block5": 4 * width}
        self.taps = [TAPS[name] for name in self.option["layers"]]
        self.H = PatchHeads([channels[name] for name in self.option["layers"]], self.option["head_width"])
        self.optimizers = [self.adam(net) for net in (self.D, self.G, self.H)]

    def step(self, x: Tensor, y: Tensor) -> Losses:
        identity, weight = self.option["nce_identity"], self.option["nce"]
        flipped = self.option["flip_equivariance"] and random.random() < 0.5
        real = torch.cat([x, y]) if identity else x
        translated = self.G(real.flip(3) if flipped else real)
        fake, same = translated[: len(x)], translated[len(x) :]
        on_D, *on_G = self.optimizers

        thaw([self.D], True)
        on_D.zero_grad()
        losses = {"gan_D": self.judge(self.D, y, fake)}
        on_D.step()

        thaw([self.D], False)
        for optimizer in on_G:
            optimizer.zero_grad()
        losses["gan_G"] = self.gan(self.D(fake), True)
        losses["nce_X"] = self.contrast(x, fake, flipped) * weight * (0.5 if identity else 1)
        total = losses["gan_G"] + losses["nce_X"]
        if identity:
            losses["nce_Y"] = self.contrast(y, same, flipped) * weight * 0.5
            total = total + losses["nce_Y"]
        total.backward()  # type: ignore[no-untyped-call]
        for optimizer in on_G:
            optimizer.step()
        return losses

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the features that are compared, each a pass through the layers so far."""
        features = []
        for i, layer in enumerate(self.G):
            x = layer(x)
            if i in self.taps:
                features.append(x)
            if i == max(self.taps):
                break
        return features

    def contrast(self, source: Tensor, translation: Tensor, flipped: bool) -> Tensor:
        """Return PatchNCE, the mean over the layers."""
        queries = self.encode(translation)
        if flipped:
            queries = [q.flip(3) for q in queries]
        keys, places = self.H(self.encode(source), None, self.option["patches"])
        queries, _ = self.H(queries, places, self.option["patches"])
        total = torch.zeros(())
        for query, key in zip(queries, keys, strict=True):
            total = total + self.patch_nce(query, key.detach(), len(source)).mean()
        return total / len(keys)

    def patch_nce(self, query: Tensor, key: Tensor, batch: int) -> Tensor:
        """Return the cross entropy of finding the own key among those of the same picture."""
        own = torch.bmm(query.unsqueeze(1), key.unsqueeze(2)).view(-1, 1)
        q, k = (v.view(batch, -1, v.shape[1]) for v in (query, key))
        others = torch.bmm(q, k.transpose(2, 1))
        others.masked_fill_(torch.eye(q.shape[1], dtype=torch.bool)[None], -10.0)
        logits = torch.cat([own, others.view(-1, q.shape[1])], 1) / self.option["temperature"]
        return nn.functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long), reduction="none")

    def networks(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D, "H": self.H}


REFERENCES: dict[str, Callable[[Config], Reference]] = {
    "cyclegan": CycleGANReference,
    "pix2pix": Pix2PixReference,
    "cut": CUTReference,
}
