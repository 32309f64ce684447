"""Reading, computing and writing at the same time.

Pictures are read ahead by one thread, computed by the caller's, and written behind by a few, so that neither a network
nor a graphics card waits for files. What lies in memory is bounded: a few pictures read, a few to be written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Generic, TypeAlias, TypeVar

from viceversa.data.image_data import ImageError

Job = TypeVar("Job")
Read = TypeVar("Read")
Result = TypeVar("Result")
Numbered: TypeAlias = tuple[int, "Future[Read]"]
Done: TypeAlias = "tuple[int, int | ImageError]"

AHEAD = 4
"""Pictures read before their turn, or twice a batch if that is more."""
WRITERS = 4
"""Threads that compress and write; one picture more waits for each of them."""


class Pipeline(Generic[Job, Read, Result]):
    """Takes jobs through `read`, `compute` and `write`.

    Args:
        read: Gets a job's picture ready; ImageError if it is broken.
        room: How many pictures like this one may be computed at once. Only those with an equal `shape` are.
        shape: What must be equal within a batch.
        compute: Makes results of a batch, in its order.
        write: Writes a job's result, and returns the number of files.
    """

    def __init__(
        self,
        read: Callable[[Job], Read],
        compute: Callable[[list[Read]], Sequence[Result]],
        write: Callable[[Job, Result], int],
        *,
        shape: Callable[[Read], object],
        room: Callable[[Read], int],
    ) -> None:
        self.read, self.compute, self.write = read, compute, write
        self.shape, self.room = shape, room

    def __call__(self, jobs: Sequence[Job], most: int) -> Generator[Done, None, None]:
        """Yield each job's number, as it is done, with the number of files written or what is wrong with the picture.

        `most` is the largest batch. Any other error ends the work: what was computed is still written, the rest is not
        begun.
        """
        with ThreadPoolExecutor(WRITERS) as writing, _reader() as reading:
            following = enumerate(jobs)
            ahead: deque[Numbered[Read]] = deque()
            behind: dict[Future[int], int] = {}
            while True:
                for number, job in following:
                    ahead.append((number, reading.submit(self.read, job)))
                    if len(ahead) >= max(AHEAD, 2 * most):
                        break
                if not ahead:
                    break
                batch, broken = self._batch(ahead, most)
                yield from broken
                if not batch:
                    continue
                results = self.compute([read for _, read in batch])
                for (number, _), result in zip(batch, results, strict=True):
                    yield from _finished(behind, 2 * WRITERS)
                    behind[writing.submit(self.write, jobs[number], result)] = number
            yield from _finished(behind, 1)

    def _batch(
        self, ahead: deque[Numbered[Read]], most: int
    ) -> tuple[list[tuple[int, Read]], list[tuple[int, ImageError]]]:
        """Take from `ahead` the next picture, and others of its shape that fit beside it; and what is broken."""
        batch: list[tuple[int, Read]] = []
        broken: list[tuple[int, ImageError]] = []
        kept: list[Numbered[Read]] = []
        room = most
        while ahead and len(batch) < room:
            number, future = ahead.popleft()
            try:
                read = future.result()
            except ImageError as error:
                broken.append((number, error))
                continue
            if not batch:
                room = max(1, min(most, self.room(read)))
            elif self.shape(read) != self.shape(batch[0][1]):
                kept.append((number, future))
                continue
            batch.append((number, read))
        ahead.extendleft(reversed(kept))
        return batch, broken


def _finished(behind: dict[Future[int], int], limit: int) -> Iterator[Done]:
    """Yield what is written, and wait until fewer than `limit` pictures are still to be."""
    while behind:
        done = [future for future in behind if future.done()]
        if not done and len(behind) < limit:
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
