"""What every network promises, whatever it is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, TypeAlias

import torch
from pydantic import Field
from torch import Tensor, nn

Probability: TypeAlias = Annotated[float, Field(ge=0, lt=1)]

BATCH_PIXELS = 2**16
"""Pixels that share a batch on a CPU, at most: larger maps are fetched from the system page by page, each time."""


class Generator(nn.Module):
    """A network that translates images: (B, in, H, W) in [-1, 1] to (B, out, H, W) in [-1, 1]."""

    multiple: int = 1
    """Height and width must be multiples of this."""
    size: int | None = None
    """The only height and width it takes, for networks that are tied to one."""
    each_alone: bool = False
    """Whether it treats each image of a batch as if that were alone, and draws no random numbers."""

    def __call__(self, x: Tensor) -> Tensor:
        """Compute; declared here so that callers know the type."""
        result: Tensor = super().__call__(x)
        return result

    def each(self, *images: Tensor) -> tuple[Tensor, ...]:
        """Return the translation of each image, all in one batch where that is exact and faster, else one by one."""
        if not self._share_a_batch(images):
            return tuple(self(x) for x in images)
        return tuple(self(torch.cat(images)).chunk(len(images)))

    def each_with_features(self, names: Sequence[str], *images: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        """Return the translation and the named feature maps of each image, computed as in `each`."""
        if not self._share_a_batch(images):
            return [self.translate_with_features(x, names) for x in images]
        translations, features = self.translate_with_features(torch.cat(images), names)
        parts = [tensor.chunk(len(images)) for tensor in (translations, *features)]
        return [(translation, list(found)) for translation, *found in zip(*parts, strict=True)]

    def _share_a_batch(self, images: Sequence[Tensor]) -> bool:
        """Whether one batch of all these images gives the same results, and sooner."""
        first = images[0]
        pixels = len(images) * len(first) * first.shape[2] * first.shape[3]
        sooner = first.device.type != "cpu" or pixels <= BATCH_PIXELS
        return len(images) > 1 and self.each_alone and sooner and all(x.shape == first.shape for x in images)

    def adjust_first_weights(self) -> None:
        """Change what was drawn for its first weights, where it should begin otherwise."""

    def attention(self, x: Tensor) -> Tensor | None:
        """Return where the network paints, (B, 1, H, W) in [0, 1], or None if it paints everywhere."""
        return None

    def taps(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Compute the network stage by stage and yield each named feature map as soon as it is known."""
        return iter(())

    def translate_with_features(self, x: Tensor, names: Sequence[str]) -> tuple[Tensor, list[Tensor]]:
        """Return the translation of x and its named feature maps, in one pass where the network can do that."""
        return self(x), self.features(x, names)

    def tap_channels(self) -> Mapping[str, int]:
        """Return the number of channels of each named feature map, in the order of `taps`."""
        return {}

    def feature_channels(self, names: Sequence[str]) -> list[int]:
        """Return the number of channels of the named feature maps; ValueError for an unknown name."""
        table = self.tap_channels()
        for name in names:
            if name not in table:
                known = ", ".join(table) or "none, this network has no named features"
                raise ValueError(f"feature {name!r} does not exist in {type(self).__name__}; known: {known}")
        return [table[name] for name in names]

    def features(self, x: Tensor, names: Sequence[str]) -> list[Tensor]:
        """Return the named feature maps, and compute nothing beyond the deepest; ValueError for an unknown name."""
        self.feature_channels(names)
        wanted, found = set(names), dict[str, Tensor]()
        stages = self.taps(x)
        while len(found) < len(wanted):
            name, value = next(stages)
            if name in wanted:
                found[name] = value
        return [found[name] for name in names]


class Discriminator(nn.Module):
    """A network that judges patches: (B, C, H, W) to logits (B, heads, h, w), without a sigmoid; most have one head."""

    def __call__(self, x: Tensor) -> Tensor:
        """Compute; declared here so that callers know the type."""
        result: Tensor = super().__call__(x)
        return result

    def look(self, x: Tensor) -> Tensor:
        """Return what `judge` needs of images, the images unless a subclass says more: D(x) is judge(look(x)).

        A translation that is judged twice, for D's update and for G's, is looked at once.
        """
        return x

    def judge(self, seen: Tensor) -> Tensor:
        """Return the logits of what `look` saw."""
        return self(seen)
