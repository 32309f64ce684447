import threading
import time

import pytest

from viceversa.data.image_data import ImageError
from viceversa.translate.pipeline import AHEAD, WRITERS, pipeline

BROKEN = ImageError("broken")


class Recorder:
    """A pipeline of numbers: reads n, computes -n, writes it into a list."""

    def __init__(
        self, fail: dict[tuple[str, int], BaseException] | None = None, slow: str = "", kinds: int = 2
    ) -> None:
        self.fail, self.slow, self.kinds = fail or {}, slow, kinds
        self.read_count = self.most_ahead = self.most_behind = self.computed = 0
        self.batches: list[list[int]] = []
        self.written: list[int] = []

    def step(self, name: str, number: int) -> None:
        time.sleep(0.01 * (self.slow == name))
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
        return [BROKEN if number == 33 else -number for number in batch]

    def write(self, number: int, result: int) -> int:
        self.step("write", number)
        assert result == -number
        self.written.append(number)
        return 1

    def run(self, jobs: range, size: int = 1) -> dict[int, object]:
        steps = (self.read, self.compute, self.write)
        return dict(pipeline(jobs, *steps, batch_key=lambda number: number % self.kinds, batch_size=lambda _: size))


def test_batches_are_of_one_kind_and_leave_nothing_behind() -> None:
    one, several = Recorder(), Recorder()
    assert one.run(range(3)) == {0: 1, 1: 1, 2: 1}
    assert one.batches == [[0], [1], [2]]
    assert set(several.run(range(33), size=4)) == set(several.written) == set(range(33))
    assert several.batches[:3] == [[0], [1], [2]], "the next one is of another kind"
    alike = Recorder(kinds=1)
    alike.run(range(9), size=4)
    assert alike.batches == [[0], [1, 2, 3, 4], [5, 6, 7, 8]]


@pytest.mark.parametrize("size", [1, 4])
def test_a_broken_image_is_noted_and_the_others_are_done(size: int) -> None:
    recorder = Recorder(fail={("read", 3): BROKEN, ("write", 6): BROKEN, ("read", 35): BROKEN})
    found = recorder.run(range(36), size)
    assert found == {number: BROKEN if number in (3, 6, 33, 35) else 1 for number in range(36)}
    assert len(recorder.written) == 32


@pytest.mark.parametrize(("step", "error"), [("read", OSError), ("compute", KeyboardInterrupt), ("write", OSError)])
def test_any_other_error_ends_the_work(step: str, error: type[BaseException]) -> None:
    recorder, before = Recorder(fail={(step, 5): error("stop")}), set(threading.enumerate())
    with pytest.raises(error, match="stop"):
        recorder.run(range(1000))
    assert recorder.computed < 5 + AHEAD + 4 * WRITERS, "the rest is not begun"
    assert {0, 1, 2, 3, 4} <= set(recorder.written), "what was computed before is written"
    assert set(threading.enumerate()) <= before, "no thread is left"


@pytest.mark.parametrize("slow", ["compute", "write"])
def test_what_waits_in_memory_is_bounded(slow: str) -> None:
    recorder, large = Recorder(slow=slow), Recorder(slow=slow)
    recorder.run(range(30))
    assert recorder.most_ahead <= AHEAD + 1
    assert recorder.most_behind <= 2 * WRITERS + 1
    large.run(range(9), size=0)
    assert (large.most_ahead, large.most_behind <= 2) == (1, True)


def test_reading_and_writing_go_on_meanwhile() -> None:
    """Before 1 is computed, 0 is written and 2 is read."""
    done = {("write", 0): threading.Event(), ("read", 2): threading.Event()}

    class Waiting(Recorder):
        def step(self, name: str, number: int) -> None:
            if (name, number) in done:
                done[name, number].set()
            if (name, number) == ("compute", 1):
                assert all(event.wait(100) for event in done.values())

    assert Waiting().run(range(3)) == {0: 1, 1: 1, 2: 1}
