"""Looking into nested states, and comparing runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

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


def assert_equal_runs(one: str | Path, other: str | Path) -> None:
    mine, theirs = dict(leaves(final_state(one))), dict(leaves(final_state(other)))
    assert mine.keys() == theirs.keys()
    for path, value in mine.items():
        same = torch.equal(value, theirs[path]) if isinstance(value, torch.Tensor) else value == theirs[path]
        assert same, path
    assert (Path(one) / "log.jsonl").read_bytes() == (Path(other) / "log.jsonl").read_bytes()
