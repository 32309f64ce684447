"""Comparing runs, and interrupting them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from viceversa import engine
from viceversa.config import Config
from viceversa.engine.learner import Learner
from viceversa.engine.run_dir import checkpoint_files


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value in nested dicts and lists, with its path."""
    if isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from leaves(value, f"{path}/{key}")
    else:
        yield path, tree


def final_state(run: str | Path) -> dict[str, Any]:
    newest = checkpoint_files(Path(run) / "checkpoints")[0]
    state: dict[str, Any] = torch.load(newest, weights_only=True)
    return {**state["shared"], "own": state["own"]}


def assert_equal_states(one: Any, other: Any) -> None:
    mine, theirs = dict(leaves(one)), dict(leaves(other))
    assert mine.keys() == theirs.keys()
    for path, value in mine.items():
        same = torch.equal(value, theirs[path]) if isinstance(value, torch.Tensor) else value == theirs[path]
        assert same, path


def assert_equal_runs(one: str | Path, other: str | Path) -> None:
    assert_equal_states(final_state(one), final_state(other))
    assert (Path(one) / "log.jsonl").read_bytes() == (Path(other) / "log.jsonl").read_bytes()


Hook = Callable[[Learner, int], object]


@contextmanager
def each_step(before: Hook = lambda *_: None, after: Hook = lambda *_: None) -> Iterator[None]:
    """Do something before and after each training step, numbered from 1; if `before` returns true, it asks to stop."""
    train_step, numbers = Learner.train_step, iter(range(1, 10**6))

    def hooked(self: Learner, batch: Any, stop: bool = False) -> Any:
        number = next(numbers)
        losses = train_step(self, batch, stop or bool(before(self, number)))
        after(self, number)
        return losses

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "train_step", hooked)
        yield


def fail(error: BaseException) -> Any:
    raise error


def assert_continues_exactly(calm: Config, broken: Config, failure: type[BaseException], **hooks: Hook) -> None:
    """Train one in peace and the other with an interruption; then both must be the same."""
    engine.train(calm)
    with each_step(**hooks), pytest.raises(failure):
        engine.train(broken)
    engine.train(broken)
    assert_equal_runs(calm.run, broken.run)
