"""What several tests use: the command in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80", "NO_COLOR": "1"}


@pytest.fixture(scope="session")
def viceversa() -> Command:
    """Run `viceversa` with arguments in a real process and return what it said."""

    def run(*words: object, cwd: Path | None = None, python: tuple[str, ...] = ("-m", "viceversa"), **env: str):
        return subprocess.run(
            [sys.executable, *python, *map(str, words)],
            cwd=cwd,
            env={**environment(), **env},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run
