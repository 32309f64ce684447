from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from viceversa.data.image_data import ImageError
from viceversa.translate.pipeline import AHEAD, WRITERS, Pipeline


class Kitchen:
    """A pipeline of numbers: reads n, computes -n, writes it into a list."""

    def __init__(
        self, *, fail: dict[tuple[str, int], BaseException] | None = None, slow: str = "", bad: tuple[int, ...] = ()
    ) -> None:
        self.fail, self.slow, self.bad = fail or {}, slow, bad
        self.read_count = self.most_ahead = self.most_behind = self.computed = 0
        self.batches: list[list[int]] = []
        self.written: list[int] = []
        self.lock = threading.Lock()

    def step(self, name: str, number: int) -> None:
        if self.slow == name:
            time.sleep(0.01)
        if error := self.fail.get((name, number)):
            raise error

    def read(self, number: int) -> int:
        self.step("read", number)
        self.read_count += 1
        self.most_ahead = max(self.most_ahead, self.read_count - self.computed)
        return number

    def compute(self, batch: list[int]) -> list[int | ImageError]:
        for number in batch:
            self.step("compute", number)
        self.batches.append(batch)
        self.computed += len(batch)
        self.most_behind = max(self.most_behind, self.computed - len(self.written))
        return [ImageError("broken") if number in self.bad else -number for number in batch]

    def write(self, number: int, result: int) -> int:
        self.step("write", number)
        assert result == -number
        with self.lock:
            self.written.append(number)
        return 1

    def run(self, jobs: list[int], most: int = 1, room: Callable[[int], int] = lambda _: 99) -> dict[int, object]:
        parity, steps = (lambda number: number % 2), (self.read, self.compute, self.write)
        return dict(Pipeline(*steps, batch_key=parity, batch_size=room, largest=most)(jobs))


def test_everything_is_done_once_and_numbered() -> None:
    kitchen = Kitchen()
    assert kitchen.run([5, 6, 7]) == {0: 1, 1: 1, 2: 1}
    assert sorted(kitchen.written) == [5, 6, 7]
    assert kitchen.batches == [[5], [6], [7]], "one by one, in order"
    assert Kitchen().run([]) == {}


def test_batches_are_of_one_shape_and_leave_nothing_behind() -> None:
    kitchen = Kitchen()
    assert set(kitchen.run(list(range(40)), most=4)) == set(range(40))
    assert sorted(kitchen.written) == list(range(40))
    assert all(len({number % 2 for number in batch}) == 1 for batch in kitchen.batches)
    assert kitchen.batches[:2] == [[0, 2, 4, 6], [1, 3, 5, 7]]
    small = Kitchen()
    small.run(list(range(0, 20, 2)), most=4, room=lambda _: 3)
    assert max(map(len, small.batches)) == 3
    large = Kitchen()
    large.run([2, 4], most=4, room=lambda _: 0)
    assert large.batches == [[2], [4]], "one that has no room beside it is done alone"


@pytest.mark.parametrize("step", ["read", "write"])
def test_a_broken_image_is_noted_and_the_others_are_done(step: str) -> None:
    wrong = ImageError("broken")
    kitchen = Kitchen(fail={(step, 3): wrong})
    found = kitchen.run(list(range(8)), most=2)
    assert found == {number: wrong if number == 3 else 1 for number in range(8)}
    assert sorted(kitchen.written) == [0, 1, 2, 4, 5, 6, 7]
    computed = Kitchen(bad=(3, 5)).run(list(range(8)), most=4)
    assert [number for number, found in computed.items() if isinstance(found, ImageError)] == [3, 5]
    last = Kitchen(fail={("read", number): wrong for number in (6, 7)})
    assert len(last.run(list(range(8)))) == 8, "also when nothing follows"


@pytest.mark.parametrize(("step", "error"), [("read", OSError), ("compute", KeyboardInterrupt), ("write", OSError)])
def test_any_other_error_ends_the_work(step: str, error: type[BaseException]) -> None:
    kitchen = Kitchen(fail={(step, 5): error("stop")})
    with pytest.raises(error, match="stop"):
        kitchen.run(list(range(1000)))
    assert kitchen.computed < 5 + AHEAD + 4 * WRITERS, "the rest is not begun"
    assert {0, 1, 2, 3, 4} <= set(kitchen.written), "what was computed before is written"
    assert all(not thread.name.startswith("ThreadPool") for thread in threading.enumerate()), "no thread is left"


@pytest.mark.parametrize("slow", ["compute", "write"])
def test_what_waits_in_memory_is_bounded(slow: str) -> None:
    kitchen = Kitchen(slow=slow)
    kitchen.run(list(range(60)))
    assert kitchen.most_ahead <= AHEAD + 1
    assert kitchen.most_behind <= 2 * WRITERS + 1


def test_reading_and_writing_go_on_meanwhile() -> None:
    inside = {"read": threading.Event(), "write": threading.Event()}

    def read(number: int) -> int:
        if number == 2:
            inside["read"].set()
        return number

    def compute(batch: list[int]) -> list[int]:
        if batch == [1]:
            assert inside["read"].wait(100), "2 is read before 1 is computed"
            assert inside["write"].wait(100), "0 is written before 1 is computed"
        return batch

    def write(number: int, result: int) -> int:
        inside["write"].set()
        return 1

    pipeline = Pipeline(read, compute, write, batch_key=lambda _: 0, batch_size=lambda _: 1, largest=1)
    assert len(dict(pipeline([0, 1, 2]))) == 3
