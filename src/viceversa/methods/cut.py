"""CUT: contrastive learning for unpaired translation (Park, Efros, Zhang, Zhu, 2020; arXiv 2007.15651)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from viceversa.config import ConfigError, Direction
from viceversa.losses.contrastive import Contrast, Negatives, Sampling, attend, draw_positions, patch_nce, take
from viceversa.methods.base import Batch, ImagePool, Method, Networks, Translators, Update
from viceversa.seeds import SHARED


class CUT(Method):
    """A generator G: X -> Y whose patches stay recognisable, by contrast with other patches of the same image.

    H projects features of G's encoder. FastCUT: `nce=10 nce_identity=false flip_equivariance=true`.

    Args:
        direction: Which domain is X and which is Y.
        nce: Weight of the contrast, lambda_X in the paper.
        nce_identity: Also contrast G(y) with y; the two contrasts are averaged. The paper's lambda_Y.
        identity: Weight of the distance between G(y) and y itself, which keeps colours; of SinCUT and EnCo, not of CUT.
        layers: Features of the generator that are compared, by name.
        patches: Patches compared in each feature map.
        temperature: Temperature of the contrast, tau in the paper.
        detach: Let no gradient through the input's features, as in the paper.
        negatives: Compare with other patches of the same image, or of the whole batch.
        contrast: infonce as in the paper, or ence, the exponential loss of arXiv 2110.11271.
        query: Patches at random as in the paper, or by attention (QS-Attn, arXiv 2203.08483, global).
        flip_equivariance: Half of the time, translate the mirrored image and mirror its features back.
        head_width: Width of the projection heads.
        pool: Past translations that the discriminator also sees; the paper has none.
    """

    def __init__(
        self, make: Networks, *, direction: Direction = "AtoB", nce: float = 1.0, nce_identity: bool = True,
        identity: float = 0.0, layers: tuple[str, ...] = ("input", "down1", "down2", "block1", "block5"),
        patches: int = 256, temperature: float = 0.07, detach: bool = True, negatives: Negatives = "image",
        contrast: Contrast = "infonce", query: Sampling = "random", flip_equivariance: bool = False,
        head_width: int = 256, pool: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.direction, (self.x, self.y) = direction, direction.split("to")
        if len(set(make.channels.values())) > 1:
            raise ConfigError("method.name: CUT's encoder sees A and B, which need equal channels; use method=cyclegan")
        self.attended = [name for name in layers if name.startswith("block")] if query == "attention" else []
        if query == "attention" and not self.attended:
            raise ConfigError("method.query=attention: only residual blocks attend; add block1 to method.layers")
        self.nce, self.nce_identity, self.identity, self.layers = nce, nce_identity, identity, layers
        self.patches, self.detach, self.flip_equivariance = patches, detach, flip_equivariance
        self.contrast = partial(patch_nce, temperature=temperature, contrast=contrast, negatives=negatives)
        self.G, self.D = make.generator(self.x, self.y), make.discriminator(self.y)
        self.H = make.projector(self.G, layers, head_width)
        self.pool, self.gan = ImagePool(pool), make.objective()

    def step(self, batch: Batch) -> Iterator[Update]:
        x, y = batch[self.x], batch[self.y]
        mirror = self.flip_equivariance and torch.rand((), generator=SHARED).item() < 0.5
        (fake, keys), *same = self.translate([x, y] if self.nce_identity or self.identity else [x], mirror)
        seen = self.D.look(fake)

        yield Update("D", gan_D=self.gan.discriminator(self.D.judge, real=self.D.look(y), fake=self.pool(seen)))

        share = 0.5 if self.nce_identity else 1.0
        losses = {
            "gan_G": self.gan.generator(self.D.judge(seen)),  # Eq. 1
            "nce_X": share * self.nce * self.patch_nce(keys, fake, mirror),  # Eq. 4
        }
        for same_y, keys_y in same:
            if self.nce_identity:
                losses["nce_Y"] = share * self.nce * self.patch_nce(keys_y, same_y, mirror)  # Eq. 5
            if self.identity:
                losses["identity"] = self.identity * l1_loss(same_y, y.flip(-1) if mirror else y)
        yield Update("G", **losses)

    def translate(self, images: list[Tensor], mirror: bool) -> list[tuple[Tensor, list[Tensor]]]:
        """Return the translation of each image, or of its mirror image, and the features of the image itself."""
        if not mirror:
            return self.G.each_with_features(self.layers, *images)
        fakes = self.G.each(*[image.flip(-1) for image in images])
        return [(fake, self.G.features(image, self.layers)) for fake, image in zip(fakes, images, strict=True)]

    def patch_nce(self, keys: Sequence[Tensor], translation: Tensor, mirror: bool) -> Tensor:
        """Return the mean over layers of the contrast between an image's features and its translation's."""
        queries = self.G.features(translation, self.layers)
        if mirror:
            queries = [feature.flip(-1) for feature in queries]
        chosen = [
            attend(key, self.patches) if name in self.attended else draw_positions(key, self.patches)
            for name, key in zip(self.layers, keys, strict=True)
        ]
        with torch.set_grad_enabled(not self.detach):
            key = self.H([take(k, c) for k, c in zip(keys, chosen, strict=True)])
        query = self.H([take(q, c) for q, c in zip(queries, chosen, strict=True)])
        return torch.stack([self.contrast(q, k).mean() for q, k in zip(query, key, strict=True)]).mean()

    def groups(self) -> dict[str, list[nn.Module]]:
        return {"D": [self.D], "G": [self.G, self.H]}

    def translators(self) -> Translators:
        return {self.direction: self.G}
