"""One-sided translation on frozen features: no way back, no second pair of networks.

What is real is judged on features of a network that has learned ImageNet (Projected GAN: Sauer et al., 2021, arXiv
2111.01007); what stays is the self-similarity of the same features (F-LSeSim: Zheng et al., 2021, arXiv 2104.00854).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import l1_loss

from viceversa.config import ConfigError, Direction
from viceversa.config.schema import Count
from viceversa.losses.content import MomentMatching, coarse_color, selfsim
from viceversa.methods.base import Batch, Method, Networks, Translators, Update
from viceversa.nets.features import STRIDES
from viceversa.nets.projected import ProjectedDiscriminator


class Half(nn.Module):
    """The networks of one direction, G: X -> Y and what judges its translations."""

    def __init__(self, make: Networks, direction: Direction) -> None:
        super().__init__()
        x, y = direction.split("to")
        self.G, D = make.generator(x, y), make.discriminator(y)
        if not isinstance(D, ProjectedDiscriminator):
            raise ConfigError("discriminator.name: method=onesided compares frozen features; use projected")
        self.D = D
        self.moments = MomentMatching(D.features.channels)


class OneSided(Method):
    """A generator that must convince a discriminator of the target domain, and keep what its input shows.

    Args:
        direction: Which domain is translated into which; both: each into the other, by two halves that share nothing.
        keep: How much of the input is kept: multiplies content and color. Turn it down for a greater change.
        content: Weight of the distance of self-similarities, G(x) to x.
        layers: Strides of the frozen maps whose self-similarities are compared: 4, 8, 16, 32.
        positions: Places of each map whose similarity to all others is compared.
        color: Weight of keeping which colours stand beside which, in G(x) as in x; brightness and contrast are free.
        color_side: Areas a side whose mean colours are compared.
        moments: Weight of the distance of mean frozen features, of translations to the target domain.
        identity: Weight of the L1 distance of G(y) to y; preserves colours.
    """

    def __init__(
        self, make: Networks, *, direction: Literal[Direction, "both"] = "AtoB", keep: float = 1.0,
        content: float = 1.5, layers: tuple[Literal[4, 8, 16, 32], ...] = (16,), positions: Count = 64,
        color: float = 1.0, color_side: Count = 8, moments: float = 0.0, identity: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        make.require_same_channels(color=keep * color, identity=identity)
        ways: list[Direction] = ["AtoB", "BtoA"] if direction == "both" else [direction]
        self.halves: dict[Direction, Half] = {way: Half(make, way) for way in ways}
        self.nets = nn.ModuleDict({str(way): half for way, half in self.halves.items()})
        self.content, self.color, self.identity = keep * content, keep * color, identity
        self.layers = [STRIDES.index(stride) for stride in layers]
        self.positions, self.color_side, self.moments = positions, color_side, moments
        self.gan = make.objective()

    def step(self, batch: Batch) -> Iterator[Update]:
        for way, half in self.halves.items():
            x, y = (batch[domain] for domain in way.split("to"))
            yield from self.one_way(half, x, y, way)

    def one_way(self, half: Half, x: Tensor, y: Tensor, way: str) -> Iterator[Update]:
        """G: X -> Y."""
        G, D = half.G, half.D
        fake = G(x)
        fake_altered, x_altered = D.augment.alike(fake, x)
        maps = D.features(fake_altered)  # once, for both updates and for the content
        seen = D.project(maps, fake_altered)
        y_altered = D.augment(y)
        y_maps = D.features(y_altered)

        gan_D = self.gan.discriminator(D.judge, real=D.project(y_maps, y_altered), fake=seen)
        yield Update(f"D_{way}", **{f"gan_D_{way}": gan_D})

        losses = {"gan": self.gan.generator(D.judge(seen))}
        if self.content:
            own = D.features(x_altered)
            pairs = [[found[layer] for layer in self.layers] for found in (maps, own)]
            losses["content"] = self.content * selfsim(*pairs, positions=self.positions)
        if self.moments:
            losses["moments"] = self.moments * half.moments(maps, y_maps)
        if self.color:
            losses["color"] = self.color * coarse_color(fake, x, side=self.color_side)
        if self.identity:
            losses["identity"] = self.identity * l1_loss(G(y), y)
        yield Update(f"G_{way}", **{f"{name}_G_{way}": loss for name, loss in losses.items()})

    def groups(self) -> dict[str, list[nn.Module]]:
        return {f"{name}_{way}": [getattr(half, name)] for way, half in self.halves.items() for name in ("G", "D")}

    def translators(self) -> Translators:
        return {way: half.G for way, half in self.halves.items()}
