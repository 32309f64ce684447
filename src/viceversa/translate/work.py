"""What is done with each picture: read, compute, write."""

from __future__ import annotations

from collections.abc import Sequence

from viceversa.backends import random
from viceversa.data.image_data import ImageData
from viceversa.data.image_io import read_image, to_image_data, write_image
from viceversa.translate.pipeline import Pipeline
from viceversa.translate.plan import Job
from viceversa.translate.size import at_size
from viceversa.translate.wanted import Wanted
from viceversa.translator import Fitted, Translator

PIXELS = {"cpu": 2**14, "cuda": 2**20, "mps": 2**20}
"""Of all pictures of a batch together, unless the user says how many: a CPU is busy with one of 128 px."""
MOST = 16


class Work:
    """Makes of a picture what is wanted, with one translator."""

    def __init__(self, translator: Translator, wanted: Wanted, batch: int | None, overwrite: bool) -> None:
        self.translator, self.wanted, self.batch, self.overwrite = translator, wanted, batch, overwrite
        self.end = read_image(wanted.walk_to) if wanted.walk_to else None

    def pipeline(self) -> Pipeline[Job, Fitted, Sequence[ImageData]]:
        """Return these three steps, to be done at the same time."""
        return Pipeline(self.read, self.compute, self.write, shape=lambda one: one.x.shape, room=self.room)

    @property
    def most(self) -> int:
        """The largest batch; one where numbers are drawn, or more is wanted of a picture than its translation."""
        return 1 if random(self.translator.net) or not self.wanted.plain else self.batch or MOST

    def room(self, one: Fitted) -> int:
        """Return how many pictures of this size make a batch."""
        return self.batch or PIXELS.get(self.translator.device.type, 0) // (one.x.shape[2] * one.x.shape[3])

    def read(self, job: Job) -> Fitted:
        """Return a file's picture; ImageError if it cannot be translated."""
        return self.translator.fit(at_size(read_image(job[0]), self.wanted.size))

    def compute(self, batch: list[Fitted]) -> list[Sequence[ImageData]]:
        """Return, for each picture, what `Wanted.files` are to hold, in their order."""
        if self.wanted.plain:
            return [[result] for result in self.translator.together(batch)]
        return [self._several(one) for one in batch]

    def write(self, job: Job, results: Sequence[ImageData]) -> int:
        """Write what is not there, or all with `overwrite`, and return how many files that were."""
        todo = [
            (path, result)
            for path, result in zip(self.wanted.files(job[1]), results, strict=True)
            if self.overwrite or not path.exists()
        ]
        for path, result in todo:
            write_image(path, result.pixels, result.alpha, result.gray)
        return len(todo)

    def _several(self, one: Fitted) -> list[ImageData]:
        wanted, picture = self.wanted, one.picture
        if self.end is not None:
            walk = self.translator.interpolate(picture, self.end, wanted.samples or 8)
            results = [to_image_data(image) for image in walk]
        elif wanted.samples is not None:
            drawn = self.translator.samples(picture, wanted.samples, wanted.seed or 0)
            results = [to_image_data(image) for image in drawn]
        else:
            results = self.translator.together([one])
        return [*results, ImageData(self.translator.mask(picture), None, True)] if wanted.save_mask else results
