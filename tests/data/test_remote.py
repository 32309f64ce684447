"""Data sets at addresses: fsspec's memory, and a server of this machine."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image
from test_archives import tree, zipped
from web import Site

from viceversa.config import ConfigError, DataConfig, load_words
from viceversa.data import find_splits, remote
from viceversa.data.archives import ArchiveError, Limits
from viceversa.data.download import FetchError
from viceversa.data.remote import local_folder

pytestmark = pytest.mark.usefixtures("cache")


def image(seed: int) -> bytes:
    data = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)).save(data, "PNG")
    return data.getvalue()


FILES = {f"{split}{domain}/{i} ü.png": image(i) for i in range(2) for split in ("train", "test") for domain in "AB"}
NOTE = "unpaired: 2 A, 2 B; test split: 2 A, 2 B"


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def fill(system: fsspec.AbstractFileSystem, files: dict[str, bytes] = FILES) -> str:
    for name, body in files.items():
        system.pipe_file(f"/sets/h2z/{name}", body)
    return "memory://sets/h2z"


def copies(folder: Path) -> dict[str, bytes]:
    return {name: body for name, body in tree(folder).items() if not name.startswith(".")}


def index(site: Site, files: dict[str, bytes]) -> str:
    """Serve a folder with its listings, as ordinary web servers do."""
    from urllib.parse import quote

    folders: dict[str, set[str]] = {}
    for name, body in files.items():
        site.put(quote(f"/sets/{name}"), body)
        folder, _, own = name.rpartition("/")
        folders.setdefault("/sets/", set()).add(f"{folder}/")
        folders.setdefault(f"/sets/{folder}/", set()).add(own)
    for path, names in folders.items():
        links = "".join(f'<a href="{quote(name)}">{name}</a>' for name in ["../", "?C=N;O=D", *sorted(names)])
        site.put(path, f"<html>{links}</html>".encode(), kind="text/html")
        site.put(path.rstrip("/"), to=path)
    return f"{site.address}/sets/"


def test_a_folder_in_memory(memory: fsspec.AbstractFileSystem, cache: Path) -> None:
    url = fill(memory, FILES | {".hidden.png": b"1", "a/.git/x.png": b"1", "program.exe": b"1"})
    folder = local_folder(url)
    assert copies(folder) == FILES
    assert folder.parent == cache / "data"
    assert folder.name.startswith("h2z-")
    assert find_splits(DataConfig(root=url)).note == NOTE
    either = DataConfig(a=f"{url}/trainA", b=f"{url}/trainB", test_fraction=0)
    assert find_splits(either).note.startswith("unpaired: 2")
    with pytest.raises(FetchError, match="more than will be fetched"):
        local_folder(f"{url}/", Limits(entries=5))


def test_what_has_not_changed_is_not_fetched_again(
    memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url = fill(memory)
    folder = local_folder(url)
    with monkeypatch.context() as patch:
        patch.setattr(remote, "_fetch", None)
        assert local_folder(url) == folder
    memory.pipe_file("/sets/h2z/trainA/2.png", image(2))
    memory.rm("/sets/h2z/trainB/0 ü.png")
    with caplog.at_level(logging.WARNING):
        assert local_folder(url) == folder
    assert "has changed" in caplog.text
    names = {*FILES, "trainA/2.png"} - {"trainB/0 ü.png"}
    assert set(copies(folder)) == names


def test_fetching_goes_on_where_it_broke_off(
    memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    url, fetched, real = fill(memory), list[str](), type(memory).get

    def breaking(self: fsspec.AbstractFileSystem, paths: list[str], targets: list[str]) -> None:
        if len(fetched) == 4:
            Path(targets[0]).write_bytes(b"half")
            raise ConnectionError("gone")
        fetched.extend(paths)
        real(self, paths, targets)

    monkeypatch.setattr(remote, "BATCH", 2)
    monkeypatch.setattr(type(memory), "get", breaking)
    with pytest.raises(FetchError, match=r"broke off \(ConnectionError: gone\); the same command again goes on"):
        local_folder(url)
    assert not [path for path in (cache / "data").iterdir() if path.suffix == ""]
    fetched.append("pass on")
    folder = local_folder(url)
    assert copies(folder) == FILES
    assert len(fetched) == 1 + len(FILES)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    monkeypatch.setattr(type(memory), "get", lambda _, __, targets: [Path(t).write_bytes(b"1") for t in targets])
    memory.pipe_file("/sets/h2z/trainA/2.png", image(2))
    with pytest.raises(FetchError, match="did not come whole"):
        local_folder(url)


def test_archives(site: Site, memory: fsspec.AbstractFileSystem, caplog: pytest.LogCaptureFixture) -> None:
    url = site.put("/h2z.zip", zipped(FILES), breaks=1)
    folder = local_folder(url)
    assert copies(folder) == FILES
    assert local_folder(url) == folder
    assert [method for method, _ in site.asked] == ["HEAD", "GET", "GET", "HEAD"]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    site.put("/h2z.zip", zipped({"A/1.png": image(1)}), tag='"2"')
    assert set(copies(local_folder(url))) == {"1.png"}
    del site.resources["/h2z.zip"]
    with caplog.at_level(logging.WARNING):
        assert local_folder(url) == folder
    assert "answers 404 Not Found; using the copy" in caplog.text
    url = site.put("/no-head.zip", zipped(FILES), head=False)
    assert local_folder(url) == local_folder(url)
    memory.pipe_file("/sets/h2z.zip", zipped({f"h2z/{name}": body for name, body in FILES.items()}))
    assert copies(local_folder("memory://sets/h2z.zip")) == FILES
    memory.pipe_file("/sets/evil.zip", zipped({"../evil.png": b"1"}))
    for hostile in (site.put("/page.zip", b"<html>"), "memory://sets/evil.zip"):
        with pytest.raises(ArchiveError, match=r"a web page, not an archive|leads outside"):
            local_folder(hostile)


def test_a_folder_over_http(site: Site) -> None:
    url = index(site, FILES)
    folder = local_folder(url)
    assert copies(folder) == FILES
    assert local_folder(url) == folder
    assert len([path for method, path in site.asked if method == "GET" and path.endswith(".png")]) == len(FILES)
    site.resources["/sets/trainB/"].status = 500  # a listing that breaks off is not taken for the whole
    site.resources["/sets/trainA/"].body += b'<a href="9.png">9.png</a>'
    assert local_folder(url) == folder
    assert copies(folder) == FILES


def test_what_cannot_be_had_is_said(site: Site, memory: fsspec.AbstractFileSystem) -> None:
    for url, match in (
        (f"{site.address}/nothing.zip", "answers 404"),
        (f"{site.address}/nothing/", "cannot be read .FileNotFoundError"),
        ("http://127.0.0.1:1/h2z.zip", "cannot be reached"),
        ("http://127.0.0.1:1/h2z/", "cannot be read"),
        ("memory://nothing.zip", "cannot be read"),
        ("memory://nothing", "no images there"),
    ):
        with pytest.raises(FetchError, match=match) as caught:
            local_folder(url)
        assert str(caught.value).startswith(f"{url}: ")
        assert "\n" not in str(caught.value)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for url, package in (("s3://bucket/h2z", "s3fs"), ("hf://datasets/a/b", "huggingface_hub")):
        with pytest.raises(ConfigError, match=rf"{url}: takes another package: .*{package}"):
            find_splits(DataConfig(root=url))
    with pytest.raises(ConfigError, match="sftp2://x: not an address that can be read"):
        local_folder("sftp2://x")


def test_those_that_start_together_fetch_once(site: Site) -> None:
    url = site.put("/h2z.zip", zipped(FILES))
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(local_folder, [url] * 4))) == 1
    assert [method for method, _ in site.asked].count("GET") == 1


@pytest.mark.parametrize(
    ("root", "name"),
    [("https://host/sets/h2z.zip?download=1", "h2z"), ("s3://bucket/h2z/", "h2z"), ("hf://x/me/h2z.tar.gz", "h2z")],
)
def test_addresses_name_runs(root: str, name: str) -> None:
    assert load_words([f"data.root={root}"]).run == f"runs/modern-{name}"


@pytest.mark.parametrize("path", ["a", "/nowhere/a", "C:\\a", "./s3:a", "c://a"])
def test_paths_are_not_taken_for_addresses(path: str) -> None:
    with pytest.raises(FileNotFoundError):
        find_splits(DataConfig(root=path))
