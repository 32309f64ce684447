"""What several tests use: the command in a process of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from support import CHROMIUM, CHROMIUM_FLAGS, Command, environment
from viceversa.cli import main

if TYPE_CHECKING:
    from playwright.sync_api import Browser


settings.register_profile("suite", max_examples=40, deadline=None)  # test_fuzz.py tries more
settings.load_profile("suite")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what tests remember and download out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VICEVERSA_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("inductor")))
        yield


@pytest.fixture(scope="session")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set whose test halves are pairs."""
    from viceversa.data import water2wine

    root = tmp_path_factory.mktemp("worlds")
    water2wine.make(root, size=32, count=6, test=7)
    return root


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
            errors="surrogateescape",
            timeout=600,  # a machine may be busy
        )

    return run


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `viceversa` with arguments in this process, which costs no start, and return what it said."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["viceversa", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        return subprocess.CompletedProcess(words, end.value.code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A headless Chromium, the machine's own."""
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.skip("no Chromium on this machine; on Debian: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()
