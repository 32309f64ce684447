"""The test images of a data set: one by one for what measures translators, and a few as samples to look at."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import zip_longest

from torch import Tensor

from viceversa.config import Config
from viceversa.data.datasets import DatasetSplits
from viceversa.data.image_data import to_tensor
from viceversa.data.transforms import prepared, read_each

log = logging.getLogger("viceversa")


@dataclass(frozen=True)
class EvalSample:
    """Images (C, crop, crop) in [-1, 1] to try the translators on; if `paired`, each is the other's true answer."""

    name: str
    a: Tensor | None
    b: Tensor | None
    paired: bool


class EvalSet:
    """Test images, read when asked for, as networks see them: (C, crop, crop) in [-1, 1].

    If there are none, training images take their place, and `of_training` says so. `paired`: number n of A is the true
    answer of number n of B. `broken` names those that could not be read, and why.
    """

    def __init__(self, splits: DatasetSplits, config: Config) -> None:
        self.of_training = not (splits.test.a or splits.test.b)
        self.split = splits.train if self.of_training else splits.test
        self.paired = self.split.paired
        self.data = config.data
        self.broken: dict[str, str] = {}

    def count(self, domain: str) -> int:
        """Return how many images of "A" or "B" there are."""
        return len(self.split.of(domain))

    def read(self, domains: str, number: int) -> list[Tensor] | None:
        """Return image `number` of a domain, or of both ("AB") if they are paired; None, with a warning, if broken."""
        samples = [self.split.of(domain)[number] for domain in domains]
        images, broken = read_each(samples, domains, self.data)
        for sample in broken.keys() - self.broken.keys():
            log.warning("skipped: %s", broken[sample])
        self.broken.update(broken)
        return None if broken else [to_tensor(image) for image in prepared(images, self.data)]

    def samples(self, limit: int | None = None) -> list[EvalSample]:
        """Return at most `limit` samples, spread evenly; of unpaired domains the shorter one is filled up with None."""
        if self.paired:
            found = ((number, self.read("AB", number)) for number in _spread(self.count("A"), limit))
            return [EvalSample(self.split.a[number].name, pair[0], pair[1], True) for number, pair in found if pair]
        sides = [self._side(domain, limit) for domain in "AB"]
        return [
            EvalSample((one or other)[0], one and one[1], other and other[1], False)
            for one, other in zip_longest(*sides)
        ]

    def _side(self, domain: str, limit: int | None) -> list[tuple[str, Tensor]]:
        samples = self.split.of(domain)
        found = ((number, self.read(domain, number)) for number in _spread(len(samples), limit))
        return [(samples[number].name, images[0]) for number, images in found if images]


def _spread(length: int, limit: int | None) -> list[int]:
    """Return `limit` indices spread evenly over `length` images, or all of them."""
    wanted = length if limit is None else min(limit, length)
    return [i * length // wanted for i in range(wanted)]
