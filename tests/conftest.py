"""What several tests use: the command in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support import Command, environment


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
