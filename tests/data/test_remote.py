"""Data sets at addresses: fsspec's memory, and a server of this machine."""

from __future__ import annotations

import io
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
from viceversa.data import find_splits
from viceversa.data.archives import ArchiveError
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


def test_a_folder_in_memory(memory: fsspec.AbstractFileSystem, cache: Path) -> None:
    url = fill(memory, FILES | {".hidden.png": b"1", "a/.git/x.png": b"1", "program.exe": b"1"})
    folder = local_folder(url)
    assert copies(folder) == FILES
    assert folder.parent == cache / "data"
    assert folder.name.startswith("h2z-")
    assert find_splits(DataConfig(root=url)).note == NOTE
    either = DataConfig(a=f"{url}/trainA", b=f"{url}/trainB", test_fraction=0)
    assert find_splits(either).note.startswith("unpaired: 2")


def test_a_folder_is_fetched_once_and_whole(
    memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    url, real = fill(memory), type(memory).get

    def breaking(self: fsspec.AbstractFileSystem, paths: list[str], targets: list[str]) -> None:
        real(self, paths[:4], targets[:4])
        raise ConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(type(memory), "get", breaking)
        with pytest.raises(FetchError, match=r"ConnectionError: gone"):
            local_folder(url)
    assert not [*(cache / "data").iterdir()]
    folder = local_folder(url)
    memory.store.clear()
    assert local_folder(url) == folder
    assert copies(folder) == FILES


def test_archives(site: Site) -> None:
    url = site.put("/h2z.zip", zipped(FILES))
    with ThreadPoolExecutor(4) as pool:  # those that start together fetch once
        (folder,) = set(pool.map(local_folder, [url] * 4))
    assert copies(folder) == FILES
    assert site.asked == ["/h2z.zip"]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    for hostile in (site.put("/page.zip", b"<html>"), site.put("/evil.zip", zipped({"../evil.png": b"1"}))):
        with pytest.raises(ArchiveError, match=r"a web page, not an archive|leads outside"):
            local_folder(hostile)


def test_what_cannot_be_had_is_said(site: Site, memory: fsspec.AbstractFileSystem) -> None:
    for url, error in (
        (f"{site.address}/nothing.zip", FetchError),
        (f"{site.address}/nothing/", FetchError),
        ("http://127.0.0.1:1/h2z.zip", FetchError),
        ("memory://nothing", FetchError),
    ):
        with pytest.raises(error) as caught:
            local_folder(url)
        assert f"{url}: " in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for url, package in (("s3://bucket/h2z", "s3fs"), ("hf://datasets/a/b", "huggingface_hub")):
        with pytest.raises(ConfigError, match=rf"{url}: takes another package: .*{package}"):
            find_splits(DataConfig(root=url))
    with pytest.raises(ConfigError, match="sftp2://x: not an address that can be read"):
        local_folder("sftp2://x")


@pytest.mark.parametrize(
    ("root", "name"),
    [("https://host/sets/h2z.zip?download=1", "h2z"), ("s3://bucket/h2z/", "h2z"), ("hf://x/me/h2z.tar.gz", "h2z")],
)
def test_addresses_name_runs(root: str, name: str) -> None:
    assert load_words([f"data.root={root}"]).run == f"runs/style-{name}"


@pytest.mark.parametrize("path", ["a", "/nowhere/a", "C:\\a", "./s3:a", "c://a"])
def test_paths_are_not_taken_for_addresses(path: str) -> None:
    with pytest.raises(FileNotFoundError):
        find_splits(DataConfig(root=path))
