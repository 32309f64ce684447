"""Reading, computing and writing at the same time.

Images are read ahead by one thread, computed by the caller's, and written behind by a few, so that neither a network
nor a graphics card waits for files. What is held in memory is bounded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Generic, TypeVar

from viceversa.data.image_data import ImageError

Job = TypeVar("Job")
Read = TypeVar("Read")
Result = TypeVar("Result")

AHEAD = 4
"""Images read before their turn, or twice a batch if that is more."""
WRITERS = 4
"""Threads that compress and write; one image more waits for each of them."""


class Pipeline(Generic[Job, Read, Result]):
    """Takes jobs through `read`, `compute` and `write`; an ImageError from any of them concerns one job only.

    Args:
        read: Gets a job's image ready.
        compute: Makes results of a batch, in its order.
        write: Writes a job's result, and returns the number of files.
        batch_key: What must be equal within a batch.
        batch_size: How many images like this one may be computed at once.
        largest: The largest batch.
    """

    def __init__(
        self,
        read: Callable[[Job], Read],
        compute: Callable[[list[Read]], Sequence[Result | ImageError]],
        write: Callable[[Job, Result], int],
        *,
        batch_key: Callable[[Read], Hashable],
        batch_size: Callable[[Read], int],
        largest: int,
    ) -> None:
        self.read, self.compute, self.write = read, compute, write
        self.batch_key, self.batch_size, self.largest = batch_key, batch_size, largest

    def __call__(self, jobs: Sequence[Job]) -> Generator[tuple[int, int | ImageError], None, None]:
        """Yield the number of each job that is done, with its number of files, or what is wrong with the image.

        Any other error ends the work: what was computed is still written, the rest is not begun.
        """
        with ThreadPoolExecutor(WRITERS) as writers, _reader() as reader:
            coming = enumerate(jobs)
            ahead: deque[tuple[int, Future[Read]]] = deque()
            behind: dict[Future[int], int] = {}
            while True:
                for number, job in coming:
                    ahead.append((number, reader.submit(self.read, job)))
                    if len(ahead) >= max(AHEAD, 2 * self.largest):
                        break
                if not ahead:
                    break
                batch, broken = self._next_batch(ahead)
                yield from broken
                results = self.compute([read for _, read in batch]) if batch else ()
                for (number, _), result in zip(batch, results, strict=True):
                    if isinstance(result, ImageError):
                        yield number, result
                        continue
                    yield from _written(behind, below=2 * WRITERS)
                    behind[writers.submit(self.write, jobs[number], result)] = number
            yield from _written(behind, below=1)

    def _next_batch(
        self, ahead: deque[tuple[int, Future[Read]]]
    ) -> tuple[list[tuple[int, Read]], list[tuple[int, ImageError]]]:
        """Take the next image and others of its kind from `ahead`; and what is broken."""
        batch: list[tuple[int, Read]] = []
        broken: list[tuple[int, ImageError]] = []
        others: list[tuple[int, Future[Read]]] = []
        size = self.largest
        while ahead and len(batch) < size:
            number, future = ahead.popleft()
            try:
                read = future.result()
            except ImageError as error:
                broken.append((number, error))
                continue
            if not batch:
                size = max(1, min(self.largest, self.batch_size(read)))
            elif self.batch_key(read) != self.batch_key(batch[0][1]):
                others.append((number, future))
                continue
            batch.append((number, read))
        ahead.extendleft(reversed(others))
        return batch, broken


def _written(behind: dict[Future[int], int], below: int) -> Iterator[tuple[int, int | ImageError]]:
    """Yield what is written, and wait until fewer than `below` images are still to be."""
    while behind:
        done = [future for future in behind if future.done()]
        if not done and len(behind) < below:
            return
        for future in done or wait(behind, return_when=FIRST_COMPLETED).done:
            number = behind.pop(future)
            try:
                yield number, future.result()
            except ImageError as error:
                yield number, error


@contextmanager
def _reader() -> Iterator[ThreadPoolExecutor]:
    """Give a thread; what it has not begun when the block ends is dropped."""
    thread = ThreadPoolExecutor(1)
    try:
        yield thread
    finally:
        thread.shutdown(cancel_futures=True)
