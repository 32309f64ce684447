"""What several tests of data use: a web server, and a cache of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from web import Handler, Site

from support import serving


@pytest.fixture
def site() -> Iterator[Site]:
    handler = type("Handler", (Handler,), {})
    with serving(handler) as address:
        handler.site = Site(address)
        yield handler.site


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder, empty and the test's own."""
    monkeypatch.setenv("VICEVERSA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
