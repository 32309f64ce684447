"""Downloads from a server that breaks off, lies, refuses and misleads."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from web import Site

from support import environment
from viceversa.data.fetch import transfer
from viceversa.data.fetch.download import FetchError, Wanted, download
from viceversa.data.fetch.transfer import CHUNK

BODY = np.random.default_rng(0).bytes(3 * CHUNK + 1234)
SHA = hashlib.sha256(BODY).hexdigest()


def fetch(target: Path, *mirrors: str, checksum: str | None = None, limit: int = 10**9) -> Path:
    download(Wanted(mirrors, checksum, limit), target, tries=3, pause=0.001)
    return target


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("checksum", [None, SHA, hashlib.md5(BODY).hexdigest()])
def test_a_file_arrives(site: Site, tmp_path: Path, checksum: str | None) -> None:
    seen: list[tuple[int, int | None]] = []
    url = site.put("/set.zip", BODY)
    download(Wanted([url], checksum), tmp_path / "deep" / "set.zip", progress=lambda *at: seen.append(at))
    assert (tmp_path / "deep" / "set.zip").read_bytes() == BODY
    assert leftovers(tmp_path / "deep") == ["set.zip"]
    assert seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)


def test_what_is_there_is_not_asked_for_again(site: Site, tmp_path: Path) -> None:
    url = site.put("/set.zip", BODY)
    for _ in range(2):
        fetch(tmp_path / "set.zip", url, checksum=SHA)
    assert len(site.asked) == 1
    (tmp_path / "set.zip").write_bytes(b"damaged since")
    assert fetch(tmp_path / "set.zip", url, checksum=SHA).read_bytes() == BODY


@pytest.mark.parametrize("checksum", [None, SHA])
def test_it_goes_on_where_it_broke_off(site: Site, tmp_path: Path, checksum: str | None) -> None:
    url = site.put("/set.zip", BODY, breaks=[1000, CHUNK, 5, CHUNK])
    assert fetch(tmp_path / "set.zip", url, checksum=checksum).read_bytes() == BODY
    assert [asked for _, _, asked in site.asked] == [
        None,
        "bytes=1000-",
        f"bytes={1000 + CHUNK}-",
        f"bytes={1005 + CHUNK}-",
        f"bytes={1005 + 2 * CHUNK}-",
    ]


def test_a_killed_download_leaves_a_part_and_goes_on(site: Site, tmp_path: Path) -> None:
    url = site.put("/set.zip", BODY, breaks=[2 * CHUNK])
    code = f"""
from pathlib import Path
from viceversa.data.fetch import download as module
sleep = module.time.sleep
module.time.sleep = lambda _: (print("broke", flush=True), sleep(60))
module.download(module.Wanted([{url!r}]), Path({str(tmp_path / "set.zip")!r}))
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment()) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"broke\n"
        process.send_signal(signal.SIGKILL)
    assert leftovers(tmp_path) == ["set.zip.part", "set.zip.part.json"]
    assert fetch(tmp_path / "set.zip", url).read_bytes() == BODY
    assert site.asked[-1][2] == f"bytes={2 * CHUNK}-"


def test_parts_of_different_versions_are_not_joined(site: Site, tmp_path: Path) -> None:
    url = site.put("/set.zip", b"old " * CHUNK, breaks=[CHUNK] * 3, ranges=False)
    with pytest.raises(FetchError, match="broke off"):
        fetch(tmp_path / "set.zip", url)
    assert (tmp_path / "set.zip.part").stat().st_size == CHUNK
    site.put("/set.zip", BODY, tag='"2"')
    assert fetch(tmp_path / "set.zip", url).read_bytes() == BODY


@pytest.mark.parametrize("tag", ["", 'W/"1"'])
def test_without_a_version_or_a_checksum_it_starts_over(site: Site, tmp_path: Path, tag: str) -> None:
    url = site.put("/set.zip", BODY, breaks=[CHUNK], tag=tag)
    assert fetch(tmp_path / "set.zip", url).read_bytes() == BODY
    assert [asked for _, _, asked in site.asked] == [None, None]


def test_a_server_that_refuses_ranges_starts_over(site: Site, tmp_path: Path) -> None:
    url = site.put("/set.zip", BODY, breaks=[CHUNK], ranges=False)
    assert fetch(tmp_path / "set.zip", url, checksum=SHA).read_bytes() == BODY


def test_a_part_that_is_whole_already_is_taken(site: Site, tmp_path: Path) -> None:
    url = site.put("/set.zip", BODY)
    (tmp_path / "set.zip.part").write_bytes(BODY)
    (tmp_path / "set.zip.part.json").write_text(json.dumps({"url": url, "version": '"1"'}))
    assert fetch(tmp_path / "set.zip", url).read_bytes() == BODY
    assert leftovers(tmp_path) == ["set.zip"]


def test_a_part_that_is_too_long_is_dropped(site: Site, tmp_path: Path) -> None:
    url = site.put("/set.zip", BODY)
    (tmp_path / "set.zip.part").write_bytes(BODY + b"more")
    (tmp_path / "set.zip.part.json").write_text(json.dumps({"url": url, "version": '"1"'}))
    assert fetch(tmp_path / "set.zip", url).read_bytes() == BODY


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"url": 7}', "{"])
def test_a_part_of_unknown_origin_is_joined_only_if_a_checksum_tells(site: Site, tmp_path: Path, note: str) -> None:
    url = site.put("/set.zip", BODY)
    for checksum in (None, SHA):
        (tmp_path / "set.zip.part").write_bytes(b"something else")
        (tmp_path / "set.zip.part.json").write_text(note)
        assert fetch(tmp_path / f"{checksum}", url, checksum=checksum).read_bytes() == BODY
        (tmp_path / "set.zip.part").rename(tmp_path / "other.part")
        (tmp_path / "set.zip.part.json").rename(tmp_path / "other.part.json")
        assert fetch(tmp_path / "other", url, checksum=checksum).read_bytes() == BODY


def test_too_short_a_length_is_noticed_by_the_checksum(site: Site, tmp_path: Path) -> None:
    url = site.put("/set.zip", BODY, length=CHUNK)
    with pytest.raises(FetchError, match="checksum differs"):
        fetch(tmp_path / "set.zip", url, checksum=SHA)
    assert leftovers(tmp_path) == []


def test_too_great_a_length_is_given_up(site: Site, tmp_path: Path) -> None:
    url = site.put("/set.zip", BODY, length=len(BODY) + 10, tag="")
    with pytest.raises(FetchError, match=r"broke off .* after 3 tries"):
        fetch(tmp_path / "set.zip", url)
    assert not (tmp_path / "set.zip").exists()


def test_another_part_than_asked_for_is_refused(site: Site, tmp_path: Path) -> None:
    url = site.put("/set.zip", BODY, breaks=[CHUNK], shift=1)
    with pytest.raises(FetchError, match="another part"):
        fetch(tmp_path / "set.zip", url)


def test_the_next_mirror_helps(site: Site, tmp_path: Path) -> None:
    mirrors = [
        site.put("/gone.zip", b"<!DOCTYPE html>", status=404, kind="text/html"),
        site.put("/page.zip", b"\n <html>please log in</html>"),
        site.put("/error.zip", status=503),
        site.put("/other.zip", BODY[::-1]),
        "http://127.0.0.1:1/set.zip",
        "nonsense://host/set.zip",
        site.put("/set.zip", BODY),
    ]
    assert fetch(tmp_path / "set.zip", *mirrors, checksum=SHA).read_bytes() == BODY
    assert [path for _, path, _ in site.asked].count("/error.zip") == 3


def test_a_mirror_goes_on_where_another_broke_off(site: Site, tmp_path: Path) -> None:
    first = site.put("/first.zip", BODY, breaks=[CHUNK, 0, 0, 0])
    second = site.put("/second.zip", BODY, tag='"of the second"')
    assert fetch(tmp_path / "set.zip", first, second, checksum=SHA).read_bytes() == BODY
    assert site.asked[-1] == ("GET", "/second.zip", f"bytes={CHUNK}-")


def test_when_no_mirror_helps_each_is_named_with_its_reason(site: Site, tmp_path: Path) -> None:
    gone, page = f"{site.address}/gone.zip", site.put("/page.zip", b"<html>")
    with pytest.raises(FetchError) as caught:
        fetch(tmp_path / "set.zip", gone, page)
    assert str(caught.value) == f"{gone}: answers 404 Not Found; {page}: a web page, not the file"
    with pytest.raises(FetchError, match="no address"):
        fetch(tmp_path / "set.zip")


@pytest.mark.parametrize("length", [None, 5])
def test_more_than_the_limit_is_refused(site: Site, tmp_path: Path, length: int | None) -> None:
    url = site.put("/set.zip", BODY, length=length)
    if length is None:
        with pytest.raises(FetchError, match=r"0.788 MB, larger than the limit of 0.1 MB"):
            fetch(tmp_path / "set.zip", url, limit=1000)
    else:  # a lie does not help: no more than that is read
        assert fetch(tmp_path / "set.zip", url, limit=1000).read_bytes() == BODY[:5]


def test_a_stream_of_unknown_length_stops_at_the_limit(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = site.put("/set.zip", BODY, length=-1)
    with pytest.raises(FetchError, match="larger than the limit"):
        fetch(tmp_path / "set.zip", url, limit=1000)
    assert not list(tmp_path.glob("set.zip.part")) or (tmp_path / "set.zip.part").stat().st_size <= 1000


def test_redirections_are_followed(site: Site, tmp_path: Path) -> None:
    url = site.put("/old.zip", to=site.put("/new.zip", BODY))
    assert fetch(tmp_path / "set.zip", url).read_bytes() == BODY


def test_without_a_network_it_says_so_at_once(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"nowhere\.invalid/set\.zip: cannot be reached"):
        download(Wanted(["https://nowhere.invalid/set.zip"]), tmp_path / "set.zip", pause=10**9)


def test_a_way_out_of_encryption_is_refused(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, real = site.put("/set.zip", BODY), transfer.urlopen
    monkeypatch.setattr(transfer, "urlopen", lambda _, timeout: real(plain, timeout=timeout))
    with pytest.raises(FetchError, match=rf"leads to an address without encryption \({plain}\)"):
        fetch(tmp_path / "set.zip", "https://host/set.zip")
    assert fetch(tmp_path / "set.zip", "https://host/set.zip", checksum=SHA).read_bytes() == BODY
