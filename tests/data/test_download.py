"""Data sets elsewhere: mirrors that break off, lie, refuse and mislead; addresses, by fsspec's memory."""

import hashlib
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from web import Site

from packing import tarred, zipped
from support import contents
from viceversa.config import ConfigError, DataConfig, load_config
from viceversa.data import download, find_splits
from viceversa.data.archives import ArchiveError
from viceversa.data.download import KnownSet, catalogue, get_set, known, local_folder

FILES = {f"{split}{domain}/{i} ü.png": b"image" for i in range(2) for split in ("train", "test") for domain in "AB"}
PACKED = zipped({f"h2z/{name}": body for name, body in FILES.items()})
BODY = np.random.default_rng(0).bytes(700_000)
SHA = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
pytestmark = pytest.mark.usefixtures("cache")


def fetch(target: Path, *mirrors: str, checksum: str | None = SHA) -> bytes:
    download.download(mirrors, target, checksum)
    assert [path.name for path in target.parent.iterdir() if path.name != "cache"] == [target.name]
    return target.read_bytes()


@pytest.mark.parametrize("checksum", [None, SHA, f"md5:{hashlib.md5(BODY).hexdigest()}"])
def test_a_file_arrives_once_if_it_can_be_checked(site: Site, tmp_path: Path, checksum: str | None) -> None:
    url = site.put("/old.zip", to=site.put("/new.zip", BODY))
    for _ in range(2):
        assert fetch(tmp_path / "set.zip", url, checksum=checksum) == BODY
    assert site.asked.count("/new.zip") == (1 if checksum else 2)


def test_the_next_mirror_helps(site: Site, tmp_path: Path) -> None:
    mirrors = [
        site.put("/gone.zip", status=404),
        site.put("/page.zip", b"\n <html>please log in</html>"),
        site.put("/other.zip", BODY[::-1]),
        "http://127.0.0.1:1/set.zip",
        "nonsense://host/set.zip",
        site.put("/cut.zip", BODY, breaks=1),
        site.put("/set.zip", BODY),
    ]
    assert fetch(tmp_path / "set.zip", *mirrors) == BODY
    assert site.asked == ["/gone.zip", "/page.zip", "/other.zip", "/cut.zip", "/set.zip"]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"status": 404}, "404"),
        ({"status": 503}, "503"),
        ({"breaks": 9}, "broken|incomplete|broke off"),
        ({"length": 5}, "checksum"),
        ({"body": BODY[:-1]}, "checksum"),
    ],
)
def test_a_mirror_that_fails_is_named_with_the_reason(
    site: Site, tmp_path: Path, how: dict[str, Any], reason: str
) -> None:
    url = site.put("/set.zip", **{"body": BODY, **how})
    with pytest.raises(ValueError, match=rf"(?i){reason}") as caught:
        fetch(tmp_path / "set.zip", url)
    assert str(caught.value).startswith(f"{url}: ")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == []


def offered(site: Site, body: bytes, **how: Any) -> KnownSet:
    url = site.put("/h2z.zip", body, **how)
    return KnownSet("horses, zebras", 1, (url,), f"sha256:{hashlib.sha256(body).hexdigest()}", train="cyclegan")


def test_a_set_arrives_whole_or_not_at_all(site: Site, tmp_path: Path) -> None:
    wanted = offered(site, PACKED)
    get_set(wanted, tmp_path / "sets" / "h2z")
    assert contents(tmp_path / "sets" / "h2z") == FILES
    assert [path.name for path in (tmp_path / "sets").iterdir()] == ["h2z"]
    with pytest.raises(FileExistsError, match="there already"):
        get_set(wanted, tmp_path / "sets" / "h2z")
    with pytest.raises(ArchiveError, match="leads outside"):
        get_set(offered(site, tarred({"../evil": b"1"})), tmp_path / "evil")
    assert not (tmp_path / "evil").exists()


def test_the_catalogue_is_sound() -> None:
    assert len(catalogue()) >= 20
    for name, one in catalogue().items():
        assert bool(one.mirrors) != bool(one.note)
        assert all(url.startswith("https://") for url in one.mirrors)
        if one.mirrors:
            assert one.megabytes
            kind, _, digits = str(one.checksum).partition(":")
            assert len(digits) == 2 * hashlib.new(kind).digest_size
        if one.train:
            source, *overrides = one.train.split()
            load_config(source, [*overrides, f"data.root={name}"])


def test_unknown_names_are_guessed() -> None:
    assert known("horse2zebra").megabytes == 117
    with pytest.raises(ValueError, match=r"did you mean horse2zebra\?"):
        known("horse2zebras")
    with pytest.raises(ValueError, match="register"):
        get_set(known("cityscapes"), Path("nowhere"))


def test_the_command(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from viceversa.cli import data

    data.get_data()
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [*catalogue()]
    monkeypatch.setattr(download, "catalogue", lambda: {"h2z": offered(site, PACKED)})
    monkeypatch.chdir(tmp_path)
    data.get_data("h2z")
    assert contents(tmp_path / "datasets" / "h2z") == FILES


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


def test_a_folder_in_memory(memory: fsspec.AbstractFileSystem, cache: Path) -> None:
    url = fill(memory, FILES | {".hidden.png": b"1", "a/.git/x.png": b"1", "program.exe": b"1"})
    folder = local_folder(url)
    assert contents(folder) == FILES
    assert folder.parent == cache / "data"
    assert folder.name.startswith("h2z-")
    assert find_splits(DataConfig(root=url)).note == "unpaired: 2 A, 2 B; test split: 2 A, 2 B"
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
        with pytest.raises(ValueError, match=r"ConnectionError: gone"):
            local_folder(url)
    assert not [*(cache / "data").iterdir()]
    folder = local_folder(url)
    memory.store.clear()
    assert local_folder(url) == folder
    assert contents(folder) == FILES


def test_archives(site: Site) -> None:
    url = site.put("/h2z.zip", PACKED)
    with ThreadPoolExecutor(4) as pool:  # those that start together fetch once
        (folder,) = set(pool.map(local_folder, [url] * 4))
    assert contents(folder) == FILES
    assert site.asked == ["/h2z.zip"]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    with pytest.raises(ArchiveError, match="a web page"):
        local_folder(site.put("/page.zip", b"<html>"))


@pytest.mark.parametrize("url", ["{site}/nothing.zip", "{site}/nothing/", "http://127.0.0.1:1/a", "memory://nothing"])
def test_what_cannot_be_had_is_said(site: Site, url: str) -> None:
    with pytest.raises(ValueError, match=f"{url.format(site=site.address)}: [^\n]*$"):
        local_folder(url.format(site=site.address))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for url, package in (("s3://bucket/h2z", "s3fs"), ("hf://datasets/a/b", "huggingface_hub")):
        with pytest.raises(ConfigError, match=rf"{url}: takes another package: .*{package}"):
            find_splits(DataConfig(root=url))
    with pytest.raises(ConfigError, match="sftp2://x: not an address that can be read"):
        local_folder("sftp2://x")
