"""Reading, computing and writing at the same time.

Images are read ahead by one thread, computed by the caller's, and written behind by a few, so that neither a network
nor a graphics card waits for files. What is held in memory is bounded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

from viceversa.data.image_data import ImageError

Job = TypeVar("Job")
Read = TypeVar("Read")
Result = TypeVar("Result")

AHEAD = 4
"""Images read before their turn, or two batches if that is more."""
WRITERS = 4
"""Threads that compress and write; one image more waits for each of them."""


def pipeline(
    jobs: Sequence[Job],
    read: Callable[[Job], Read],
    compute: Callable[[list[Read]], Sequence[Result | ImageError]],
    write: Callable[[Job, Result], int],
    *,
    batch_key: Callable[[Read], Hashable],
    batch_size: Callable[[Read], int],
) -> Generator[tuple[int, int | ImageError], None, None]:
    """Take jobs through `read`, `compute` and `write`; yield the number of each that is done, and its number of files.

    An ImageError of any of the three concerns one image, and is yielded in place of its number of files. Any other
    error ends the work: what was computed is still written, the rest is not begun. A batch holds images of the same
    `batch_key`, and at most the `batch_size` of its first one; 0 is for one so large that no other waits beside it.
    """
    with ThreadPoolExecutor(WRITERS) as writers, ThreadPoolExecutor(1) as reader:
        coming = enumerate(jobs)
        ahead: deque[tuple[int, Future[Read]]] = deque()
        behind: dict[Future[int], int] = {}
        size = 0
        try:
            while True:
                for number, job in islice(coming, max(0, (max(AHEAD, 2 * size) if size else 1) - len(ahead))):
                    ahead.append((number, reader.submit(read, job)))
                if not ahead:
                    break
                size, batch, broken = _next_batch(ahead, batch_key, batch_size)
                yield from broken
                results = compute(list(batch.values())) if batch else ()
                for number, result in zip(batch, results, strict=True):
                    if isinstance(result, ImageError):
                        yield number, result
                        continue
                    yield from _written(behind, below=2 * WRITERS if size else 1)
                    behind[writers.submit(write, jobs[number], result)] = number
            yield from _written(behind, below=1)
        finally:
            reader.shutdown(cancel_futures=True)


def _next_batch(
    ahead: deque[tuple[int, Future[Read]]], batch_key: Callable[[Read], Hashable], batch_size: Callable[[Read], int]
) -> tuple[int, dict[int, Read], list[tuple[int, ImageError]]]:
    """Take the next image and others of its kind from `ahead`: how many they may be, they, and what is broken."""
    batch: dict[int, Read] = {}
    broken: list[tuple[int, ImageError]] = []
    others: list[tuple[int, Future[Read]]] = []
    key, size = None, 1
    while ahead and len(batch) < max(1, size):
        number, future = ahead.popleft()
        try:
            image = future.result()
        except ImageError as error:
            broken.append((number, error))
            continue
        if not batch:
            key, size = batch_key(image), batch_size(image)
        if batch_key(image) == key:
            batch[number] = image
        else:
            others.append((number, future))
    ahead.extendleft(reversed(others))
    return size, batch, broken


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
