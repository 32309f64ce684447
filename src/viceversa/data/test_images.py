"""The test pictures of a data set, one by one, for what judges translators."""

from __future__ import annotations

import logging

from torch import Tensor

from viceversa.config import Config
from viceversa.data.datasets import DatasetSplits
from viceversa.data.draws import Broken, Draws
from viceversa.data.image_data import to_tensor
from viceversa.data.transforms import prepared

log = logging.getLogger("viceversa")


class TestImages:
    """Test pictures, read when asked for, as networks see them: (C, crop, crop) in [-1, 1].

    If there are none, training pictures take their place, and `of_training` says so. `paired`: number n of A is the
    true answer of number n of B.
    """

    __test__ = False  # tells pytest that the name is a coincidence

    def __init__(self, splits: DatasetSplits, config: Config) -> None:
        self.of_training = not (splits.test.a or splits.test.b)
        self.split = splits.train if self.of_training else splits.test
        self.paired = self.split.paired
        self.data = config.data
        self.broken: Broken = {}
        self._draws = Draws(splits, config, 0)

    def count(self, world: str) -> int:
        """Return how many pictures of "A" or "B" there are."""
        return len(self.split.a if world == "A" else self.split.b)

    def read(self, worlds: str, number: int) -> list[Tensor] | None:
        """Return picture `number` of a world, or of both ("AB") if they are paired; None if it cannot be read.

        What cannot be read is warned of, once.
        """
        broken: Broken = {}
        images = self._draws.read(self.split, worlds, number, broken)
        for item in broken.keys() - self.broken.keys():
            log.warning("skipped: %s", broken[item])
        self.broken |= broken
        if images is None:
            return None
        return [to_tensor(image) for image in prepared(images, self.data)]
