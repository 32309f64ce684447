"""CUT: contrastive learning for unpaired translation (Park, Efros, Zhang, Zhu, 2020; arXiv 2007.15651)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from viceversa.config import Direction
from viceversa.losses.contrastive import Contrast, Negatives, Queries, choose, patch_nce, take
from viceversa.methods.base import Batch, Method, Networks, Translators, Update
from viceversa.methods.passes import Passes
from viceversa.methods.pool import ImagePool
from viceversa.seeds import SHARED


class CUT(Method):
    """A generator G: X -> Y whose patches stay recognisable, by contrast with other patches of the same picture.

    H projects features of G's encoder. FastCUT: `nce=10 nce_identity=false flip_equivariance=true`.

    Args:
        direction: Which world is X and which is Y.
        nce: Weight of the contrast, lambda_X in the paper.
        nce_identity: Also contrast G(y) with y; the two contrasts are averaged. The paper's lambda_Y.
        layers: Features of the generator that are compared, by name.
        patches: Patches compared in each feature map.
        temperature: Temperature of the contrast, tau in the paper.
        detach: Let no gradient through the input's features; source 001 found letting it through worse.
        negatives: Compare with other patches of the same image, or of the whole batch.
        contrast: infonce as in the paper, or ence, the exponential loss of arXiv 2110.11271.
        query: Patches at random as in the paper, or by attention (QS-Attn, arXiv 2203.08483, global).
        flip_equivariance: Half of the time, translate the mirrored picture and mirror its features back.
        head_width: Width of the projection heads.
        pool: Past translations that the discriminator also sees; the paper has none.
    """

    def __init__(
        self, make: Networks, *, direction: Direction = "AtoB", nce: float = 1.0, nce_identity: bool = True,
        layers: tuple[str, ...] = ("input", "down1", "down2", "block1", "block5"), patches: int = 256,
        temperature: float = 0.07, detach: bool = True, negatives: Negatives = "image", contrast: Contrast = "infonce",
        query: Queries = "random", flip_equivariance: bool = False, head_width: int = 256, pool: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.direction, (self.x, self.y) = direction, direction.split("to")
        make.require_same_channels("method.name", "G's encoder sees both worlds", "cyclegan method.identity=0")
        self.nce, self.nce_identity, self.layers, self.patches = nce, nce_identity, layers, patches
        self.temperature, self.detach, self.negatives = temperature, detach, negatives
        self.contrast, self.query, self.flip_equivariance = contrast, query, flip_equivariance
        self.G, self.D = make.generator(self.x, self.y), make.discriminator(self.y)
        self.H = make.projector(self.G, layers, head_width)
        self.pool, self.gan = ImagePool(pool), make.objective()

    def step(self, batch: Batch) -> Iterator[Update]:
        x, y = batch[self.x], batch[self.y]
        flipped = self.flip_equivariance and torch.rand((), generator=SHARED).item() < 0.5
        translate = Passes(self.G, partial(self.translate, flipped=flipped))
        fake, keys = translate(x, later=y if self.nce_identity else None)
        same, same_keys = translate(y) if self.nce_identity else (None, [])

        yield Update("D", gan_D=self.gan.discriminator(self.D, real=y, fake=self.pool(fake)))

        share = 0.5 if self.nce_identity else 1.0
        losses = {
            "gan_G": self.gan.generator(self.D(fake)),  # Eq. 1
            "nce_X": share * self.nce * self.patch_nce(keys, fake, flipped),  # Eq. 4
        }
        if same is not None:
            losses["nce_Y"] = share * self.nce * self.patch_nce(same_keys, same, flipped)  # Eq. 5
        yield Update("G", **losses)

    def translate(self, source: Tensor, flipped: bool) -> tuple[Tensor, list[Tensor]]:
        """Return the translation of a picture, or of its mirror image, and the features of the picture itself."""
        if not flipped:
            return self.G.translate_with_features(source, self.layers)
        return self.G(source.flip(-1)), self.G.features(source, self.layers)

    def patch_nce(self, keys: Sequence[Tensor], translation: Tensor, flipped: bool) -> Tensor:
        """Return the mean over layers of the contrast between a picture's features and its translation's."""
        queries = self.G.features(translation, self.layers)
        if flipped:
            queries = [feature.flip(-1) for feature in queries]
        chosen = [choose(key, self.patches, self.query) for key in keys]
        with torch.set_grad_enabled(not self.detach):
            key = self.H([take(k, c) for k, c in zip(keys, chosen, strict=True)])
        query = self.H([take(q, c) for q, c in zip(queries, chosen, strict=True)])
        nce = partial(patch_nce, temperature=self.temperature, contrast=self.contrast, negatives=self.negatives)
        return torch.stack([nce(q, k).mean() for q, k in zip(query, key, strict=True)]).mean()

    def groups(self) -> dict[str, list[nn.Module]]:
        return {"D": [self.D], "G": [self.G, self.H]}

    def translators(self) -> Translators:
        return {self.direction: self.G}
