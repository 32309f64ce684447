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
    error ends the work: what was computed is still written, the rest is not begun. A batch holds images that follow
    one another and have the same `batch_key`, and at most the `batch_size` of its first one; 0 is for one so large
    that no other waits beside it.
    """
    coming = enumerate(jobs)
    ahead: deque[tuple[int, Future[Read | ImageError]]] = deque()
    behind: dict[Future[int | ImageError], int] = {}
    size = 0
    with ThreadPoolExecutor(WRITERS) as writers, ThreadPoolExecutor(1) as reader:
        try:
            while True:
                for number, job in islice(coming, max(0, (max(AHEAD, 2 * size) if size else 1) - len(ahead))):
                    ahead.append((number, reader.submit(_attempt, read, job)))
                if not ahead:
                    break
                batch = dict[int, Read]()
                while ahead and len(batch) < max(1, size if batch else 1):
                    number, image = ahead[0][0], ahead[0][1].result()
                    if isinstance(image, ImageError):
                        yield number, image
                    elif not batch:
                        batch, key, size = {number: image}, batch_key(image), batch_size(image)
                    elif batch_key(image) == key:
                        batch[number] = image
                    else:
                        break
                    ahead.popleft()
                results = compute(list(batch.values())) if batch else ()
                for number, result in zip(batch, results, strict=True):
                    if isinstance(result, ImageError):
                        yield number, result
                        continue
                    yield from _written(behind, below=2 * WRITERS if size else 1)
                    behind[writers.submit(_attempt, write, jobs[number], result)] = number
            yield from _written(behind, below=1)
        finally:
            reader.shutdown(cancel_futures=True)


def _attempt(do: Callable[..., Result], *args: object) -> Result | ImageError:
    try:
        return do(*args)
    except ImageError as error:
        return error


def _written(behind: dict[Future[int | ImageError], int], below: int) -> Iterator[tuple[int, int | ImageError]]:
    """Yield what is written, and wait until fewer than `below` images are still to be."""
    while behind:
        done, _ = wait(behind, None if len(behind) >= below else 0, FIRST_COMPLETED)
        if not done:
            return
        for future in done:
            yield behind.pop(future), future.result()
