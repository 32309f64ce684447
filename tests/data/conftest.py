"""What several tests of data use: a web server, and a cache of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import web


@pytest.fixture
def site() -> Iterator[web.Site]:
    with web.site() as site:
        yield site


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder, empty and the test's own."""
    monkeypatch.setenv("VICEVERSA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
