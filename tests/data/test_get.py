"""Known data sets, from a server of this machine."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from test_archives import tarred, tree, zipped
from web import Site

from support import Command
from viceversa.config import load_config, load_words
from viceversa.data import catalogue
from viceversa.data.archives import ArchiveError
from viceversa.data.catalogue import SETS, KnownSet
from viceversa.data.fetch.download import FetchError
from viceversa.data.fetch.get import get_set, known

FILES = {f"h2z/{split}{world}/1.jpg": b"picture" for split in ("train", "test") for world in "AB"}
pytestmark = pytest.mark.usefixtures("cache")


def offered(site: Site, body: bytes, **how: Any) -> KnownSet:
    url = site.put("/h2z.zip", body, **how)
    return KnownSet("h2z", "horses, zebras", 1, (url,), hashlib.sha256(body).hexdigest(), train="cyclegan")


def test_a_set_arrives(site: Site, tmp_path: Path) -> None:
    out = tmp_path / "sets" / "h2z"
    seen: dict[str, list[int]] = {"down": [], "out": []}
    root = get_set(
        offered(site, zipped(FILES)),
        out,
        downloading=lambda done, _: seen["down"].append(done),
        unpacking=lambda done, _: seen["out"].append(done),
    )
    assert root == out
    assert tree(out.parent) == {f"h2z/{name.removeprefix('h2z/')}": body for name, body in FILES.items()}
    assert seen["down"]
    assert seen["out"]


def test_the_archive_may_stay(site: Site, tmp_path: Path) -> None:
    get_set(offered(site, zipped(FILES)), tmp_path / "h2z", keep=True)
    assert (tmp_path / "h2z.zip").read_bytes() == zipped(FILES)


def test_when_unpacking_was_killed_nothing_is_downloaded_again(site: Site, tmp_path: Path) -> None:
    wanted = offered(site, zipped(FILES))
    (tmp_path / "h2z.zip").write_bytes(zipped(FILES))
    (tmp_path / ".h2z.123.partial").mkdir()
    get_set(wanted, tmp_path / "h2z")
    assert site.asked == []
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["h2z"]


def test_what_is_there_is_not_touched(site: Site, tmp_path: Path) -> None:
    (tmp_path / "h2z").mkdir()
    get_set(offered(site, zipped(FILES)), tmp_path / "h2z")  # an empty folder is in nobody's way
    asked = len(site.asked)
    with pytest.raises(FileExistsError, match="there already"):
        get_set(offered(site, zipped(FILES)), tmp_path / "h2z")
    assert len(site.asked) == asked


def test_a_hostile_archive_leaves_nothing_but_itself(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="leads outside"):
        get_set(offered(site, tarred({"../evil": b"1"})), tmp_path / "sets" / "h2z")
    assert not (tmp_path / "evil").exists()
    assert [path.name for path in (tmp_path / "sets").iterdir()] == ["h2z.zip"]


def test_a_set_larger_than_said_is_refused(site: Site, tmp_path: Path) -> None:
    wanted = dataclasses.replace(offered(site, zipped(FILES) + bytes(2_000_000)), checksum=None)
    with pytest.raises(FetchError, match=r"2 MB, larger than the limit of 1\.5 MB"):
        get_set(wanted, tmp_path / "h2z")


def test_the_root_is_where_the_worlds_are(site: Site, tmp_path: Path) -> None:
    files = {f"{name}": body for name, body in FILES.items()} | {"readme.txt": b"hello"}
    assert get_set(offered(site, zipped(files)), tmp_path / "out") == tmp_path / "out" / "h2z"
    several = files | {f"other/{name}": body for name, body in FILES.items()}
    assert get_set(offered(site, zipped(several)), tmp_path / "several") == tmp_path / "several"


def kaggle(monkeypatch: pytest.MonkeyPatch, folder: Path | Exception) -> list[str]:
    asked: list[str] = []

    def dataset_download(handle: str) -> str:
        asked.append(handle)
        if isinstance(folder, Exception):
            raise folder
        return str(folder)

    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=dataset_download))
    return asked


FACES = KnownSet("faces", "faces", 0, kaggle="someone/faces")


def test_kaggles_sets_are_copied_from_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hub" / "x" / "trainA").mkdir(parents=True)
    (tmp_path / "hub" / "x" / "trainA" / "1.jpg").write_bytes(b"1")
    asked = kaggle(monkeypatch, tmp_path / "hub")
    assert get_set(FACES, tmp_path / "out") == tmp_path / "out" / "x"
    assert asked == ["someone/faces"]
    assert tree(tmp_path / "out") == tree(tmp_path / "hub")


def test_links_in_kaggles_sets_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "1.jpg").symlink_to("/etc/passwd")
    kaggle(monkeypatch, tmp_path / "hub")
    with pytest.raises(FetchError, match="holds a link"):
        get_set(FACES, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_kaggles_troubles_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kaggle(monkeypatch, RuntimeError("no\nnetwork"))
    with pytest.raises(FetchError, match=r"kaggle.com/datasets/someone/faces: no network$"):
        get_set(FACES, tmp_path / "out")
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(FetchError, match=r'pip install "viceversa\[kaggle\]"'):
        get_set(FACES, tmp_path / "out")


def test_the_catalogue_is_sound() -> None:
    assert len({one.name for one in SETS}) == len(SETS) >= 20
    for one in SETS:
        assert bool(one.mirrors) + bool(one.kaggle) == 1 or one.note
        assert all(url.startswith("https://") for url in one.mirrors)
        assert not one.mirrors or one.megabytes
        assert one.checksum is None or (len(one.checksum) in (32, 64) and int(one.checksum, 16))
        if one.train:
            source, *overrides = one.train.split()
            load_config(source, [*overrides, f"data.root={one.name}"])
    assert len({one.checksum for one in SETS if one.checksum}) == sum(bool(one.checksum) for one in SETS)


def test_unknown_names_are_guessed() -> None:
    assert known("horse2zebra").megabytes == 117
    with pytest.raises(FetchError, match=r"horse2zebras: no such data set; did you mean horse2zebra\?"):
        known("horse2zebras")
    with pytest.raises(FetchError, match="viceversa data get lists"):
        known("???")
    with pytest.raises(FetchError, match="register"):
        get_set(known("cityscapes"), Path("nowhere"))


def test_the_command(viceversa: Command, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = viceversa("data", "get")
    assert all(one.name in listed.stdout for one in SETS)
    failed = viceversa("data", "get", "horse")
    assert failed.returncode == 1
    assert failed.stderr.startswith("viceversa: horse: no such data set")

    from viceversa.cli import getting

    monkeypatch.setattr(catalogue, "SETS", (offered(site, zipped(FILES)),))
    monkeypatch.setattr("viceversa.data.fetch.get.SETS", catalogue.SETS)
    monkeypatch.chdir(tmp_path)
    getting.get_data("h2z")
    assert load_words(["data.root=datasets/h2z"]).data.root
    assert (tmp_path / "datasets" / "h2z" / "trainA" / "1.jpg").exists()
