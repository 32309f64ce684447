"""Pictures of many clients through one model: a bounded queue, and those of one size in batches."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from prometheus_client import Gauge, Histogram

from viceversa.backends.prepare import PreparedImage
from viceversa.config import Direction
from viceversa.data.image_data import ImageData
from viceversa.devices import pick_device
from viceversa.paths import directions
from viceversa.serve.codecs import Codecs
from viceversa.translate import TranslateOptions
from viceversa.translate.images import batch_size, finished, written_suffix
from viceversa.translator import Translator

T = TypeVar("T")
PENDING = Gauge("viceversa_pending", "Pictures that were taken and are not answered.", multiprocess_mode="livesum")
BATCH_SECONDS = Histogram("viceversa_batch_seconds", "Computing a batch.")
BATCH_IMAGES = Histogram("viceversa_batch_images", "Images of a batch.", buckets=(1, 2, 4, 8, 16))
DECODED_PIXELS = 2**25
"""Of all pictures in memory, about: beyond, none is decoded."""


class BusyError(Exception):
    """The queue is full; in about so many `seconds` there is room."""

    def __init__(self, seconds: float) -> None:
        super().__init__("too many pictures are waiting")
        self.seconds = max(1, math.ceil(seconds))


class NoDirectionError(ValueError):
    """A direction that a model does not translate."""


@dataclass(eq=False)
class Waiting:
    """A picture that waits for its translation."""

    translator: Translator
    image: PreparedImage
    result: asyncio.Future[ImageData] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def kind(self) -> tuple[object, ...]:
        """What is the same in all images of a batch."""
        return self.translator, self.image.x.shape, self.image.image.pixels.dtype


class Service:
    """Translates what many send, in one event loop; each answer is what `viceversa translate` would write.

    Args:
        translators: By direction; the first one is the default.
        codecs: Processes that decode and encode; they are closed with the service.
        queue: Pictures that are taken at a time, at most.
        batch: Images of one size to compute at once; None: as many as keep a graphics card busy, but one on a CPU. In a
            batch a value may be rounded otherwise than alone, so images of more than 8 bits, where it would show more
            often, are computed alone.
    """

    def __init__(
        self,
        translators: Mapping[Direction, Translator],
        codecs: Codecs,
        queue: int = 64,
        batch: int | None = None,
    ) -> None:
        self.translators, self.codecs, self.queue, self.batch = translators, codecs, queue, batch
        self._taken = self._pixels = 0
        self._pace = 0.1  # seconds for a picture, lately
        self._waiting: list[Waiting] = []
        self._arrived, self._room = asyncio.Event(), asyncio.Condition()
        self._decoding = asyncio.Semaphore(codecs.count)
        self._coders, self._computer = ThreadPoolExecutor(codecs.count), ThreadPoolExecutor(1)
        self._loop: asyncio.Task[None] | None = None

    async def translate(
        self, content: bytes, direction: Direction | None = None, format: str | None = None, strength: float = 1.0
    ) -> tuple[bytes, str]:
        """Return a file's content translated, and its suffix.

        `format` is a suffix without its dot; None: that of the input. Raises ImageError for what cannot be translated,
        NoDirectionError for a direction that the model does not have, BusyError if the queue is full.
        """
        translator = self._translator(direction)
        self.refuse_if_full()
        self._count(pictures=1)
        pixels = 0
        try:
            async with self._decoding:
                async with self._room:
                    await self._room.wait_for(lambda: self._pixels < DECODED_PIXELS)
                upload = await self._in(self._coders, self.codecs.decode, content)
                pixels = upload.image.pixels.shape[0] * upload.image.pixels.shape[1]
                self._pixels += pixels
            prepared = await self._in(self._coders, translator.prepare, upload.image)
            result = await self._compute(Waiting(translator, prepared))
            options = TranslateOptions(strength=strength)
            result = await self._in(self._coders, finished, options, None, prepared.image, result)
            suffix = written_suffix(translator, f".{format}" if format else upload.suffix)
            return await self._in(self._coders, self.codecs.encode, result, upload.metadata, suffix), suffix
        finally:
            self._pixels -= pixels
            self._count(pictures=-1)
            async with self._room:
                self._room.notify_all()

    def refuse_if_full(self) -> None:
        """Raise BusyError if no further picture is taken."""
        if self._taken >= self.queue:
            raise BusyError(self._taken * self._pace)

    async def close(self) -> None:
        """End threads and processes, when all that was taken is answered."""
        async with self._room:
            await self._room.wait_for(lambda: not self._taken)
        if self._loop:
            self._loop.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop
        for threads in (self._coders, self._computer):
            threads.shutdown()
        self.codecs.close()

    def _translator(self, direction: Direction | None) -> Translator:
        if direction is None:
            return next(iter(self.translators.values()))
        if direction not in self.translators:
            raise NoDirectionError(f"the model translates {' and '.join(self.translators)}, not {direction}")
        return self.translators[direction]

    def _count(self, pictures: int) -> None:
        self._taken += pictures
        PENDING.inc(pictures)

    async def _in(self, threads: ThreadPoolExecutor, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(threads, function, *args)

    async def _compute(self, job: Waiting) -> ImageData:
        self._loop = self._loop or asyncio.create_task(self._compute_all())
        self._waiting.append(job)
        self._arrived.set()
        return await job.result

    async def _compute_all(self) -> None:
        """Compute the oldest that waits with others of its size, for ever."""
        while True:
            await self._arrived.wait()
            batch = self._next_batch()
            start = time.perf_counter()
            results: list[Any]
            try:
                images = [job.image for job in batch]
                results = await self._in(self._computer, batch[0].translator.translate_batch, images)
            except Exception as error:  # such as a full graphics card: these are lost, not those that follow
                results = [error] * len(batch)
            for job, result in zip(batch, results, strict=True):
                if not job.result.done():
                    job.result.set_exception(result) if isinstance(result, Exception) else job.result.set_result(result)
            seconds = time.perf_counter() - start
            self._pace += 0.1 * (seconds / len(batch) - self._pace)
            BATCH_SECONDS.observe(seconds)
            BATCH_IMAGES.observe(len(batch))

    def _next_batch(self) -> list[Waiting]:
        first = self._waiting[0]
        alone = first.image.image.pixels.dtype != np.uint8 or (not self.batch and first.translator.device.type == "cpu")
        size = 1 if alone else batch_size(first.translator, first.image, self.batch)
        batch = [job for job in self._waiting if job.kind == first.kind][: max(1, size)]
        self._waiting = [job for job in self._waiting if job not in batch]
        if not self._waiting:
            self._arrived.clear()
        return batch


def load(model: Path, best: bool = False, device: str = "auto") -> dict[Direction, Translator]:
    """Return a run's translators by direction, or that of a file; raise as `Translator.load` does."""
    wanted: list[Direction | None] = [*directions(model)] if model.is_dir() else [None]
    found = [Translator.load(model, one, best=best, device=pick_device(device)) for one in wanted]
    return {translator.card.direction: translator for translator in found}
