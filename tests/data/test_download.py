"""Known data sets, from mirrors that break off, lie, refuse and mislead; and from Kaggle."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_archives import tarred, tree, zipped
from web import Site

from support import Command
from viceversa.config import load_config, load_words
from viceversa.data import download
from viceversa.data.archives import ArchiveError
from viceversa.data.download import FetchError, KnownSet, catalogue, get_set, known

FILES = {f"h2z/{split}{domain}/1.jpg": b"image" for split in ("train", "test") for domain in "AB"}
BODY = np.random.default_rng(0).bytes(700_000)
SHA = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
pytestmark = pytest.mark.usefixtures("cache")


def fetch(target: Path, *mirrors: str, checksum: str | None = SHA, **more: Any) -> bytes:
    download.download(mirrors, target, checksum=checksum, **more)
    assert [path.name for path in target.parent.iterdir() if path.name != "cache"] == [target.name]
    return target.read_bytes()


@pytest.mark.parametrize("checksum", [None, SHA, f"md5:{hashlib.md5(BODY).hexdigest()}"])
def test_a_file_arrives_and_tells_how_far_it_is(site: Site, tmp_path: Path, checksum: str | None) -> None:
    seen: list[tuple[int, int | None]] = []
    url = site.put("/old.zip", to=site.put("/new.zip", BODY))
    assert fetch(tmp_path / "set.zip", url, checksum=checksum, progress=lambda *at: seen.append(at)) == BODY
    assert seen == sorted(seen)
    assert seen[-1][1] == len(BODY)
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
    with pytest.raises(FetchError, match=rf"(?i){reason}") as caught:
        fetch(tmp_path / "set.zip", url)
    assert str(caught.value).startswith(f"{url}: ")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == []


def offered(site: Site, body: bytes, **how: Any) -> KnownSet:
    url = site.put("/h2z.zip", body, **how)
    return KnownSet("horses, zebras", 1, (url,), f"sha256:{hashlib.sha256(body).hexdigest()}", train="cyclegan")


def test_a_set_arrives_whole_or_not_at_all(site: Site, tmp_path: Path) -> None:
    wanted = offered(site, zipped(FILES))
    get_set(wanted, tmp_path / "sets" / "h2z")
    assert tree(tmp_path / "sets" / "h2z") == {name.removeprefix("h2z/"): body for name, body in FILES.items()}
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
    with pytest.raises(FetchError, match=r"did you mean horse2zebra\?"):
        known("horse2zebras")
    with pytest.raises(FetchError, match="register"):
        get_set(known("cityscapes"), Path("nowhere"))


def test_the_command(viceversa: Command, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = viceversa("data", "get")
    assert all(name in listed.stdout for name in catalogue())
    failed = viceversa("data", "get", "horse")
    assert (failed.returncode, failed.stderr.count("\n")) == (1, 1)

    from viceversa.cli import data

    monkeypatch.setattr(download, "catalogue", lambda: {"h2z": offered(site, zipped(FILES))})
    monkeypatch.chdir(tmp_path)
    data.get_data("h2z")
    assert load_words(["data.root=datasets/h2z"]).data.root
    assert (tmp_path / "datasets" / "h2z" / "trainA" / "1.jpg").exists()
