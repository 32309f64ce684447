"""Archives from elsewhere: what is good comes out whole, what is hostile comes out not at all."""

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from packing import PACKERS, entry, tarred, zipped
from support import contents
from viceversa.data.archives import ArchiveError, unpack

FILES = {"set/trainA/1.jpg": b"a" * 700, "set/trainA/ü 2.jpg": b"", "set/trainB/deep/1.jpg": os.urandom(600_000)}


def strange_zip(name: str, mode: int = 0, flags: int = 0) -> bytes:
    """A zip of one member with a file type (a link, a device) or a flag (encrypted)."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, "/etc/passwd")
    body = bytearray(data.getvalue())
    body[body.index(b"PK\1\2") + 8] |= flags
    return bytes(body)


def lying_zip() -> bytes:
    """A zip that declares a member smaller than it is."""
    body = bytearray(zipped({"a.png": os.urandom(1000) + bytes(10**7)}))
    for signature, place in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        at = body.index(signature) + place
        body[at : at + 4] = struct.pack("<I", 5)
    return bytes(body)


def refused(tmp_path: Path, body: bytes, match: str) -> None:
    """The archive is refused with this reason, by name, and nothing of it is left anywhere."""
    archive = tmp_path / "home" / "set.zip"
    archive.parent.mkdir(exist_ok=True)
    archive.write_bytes(body)
    with pytest.raises(ArchiveError, match=match) as caught:
        unpack(archive, archive.with_name("set"), 2 * 10**6, 20)
    assert str(caught.value).startswith(f"{archive}: ")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.rglob("*")] == ["home", "set.zip"]


@pytest.mark.parametrize("kind", PACKERS)
def test_good_archives_come_out_whole_and_cut_ones_not_at_all(tmp_path: Path, kind: str) -> None:
    (tmp_path / "good").mkdir()
    archive = tmp_path / "good" / "set"
    archive.write_bytes(PACKERS[kind](FILES))
    unpack(archive, tmp_path / "good" / "out")
    assert contents(tmp_path / "good" / "out") == {name.removeprefix("set/"): body for name, body in FILES.items()}
    for part in (0.3, 0.9, 0.98):
        (tmp_path / str(part)).mkdir()
        body = archive.read_bytes().rstrip(b"\0")
        refused(tmp_path / str(part), body[: int(part * len(body))], "damaged")


OUTSIDE = ["../evil", "a/../../evil", "/tmp/evil", "..\\evil", "C:\\evil", "c:evil", "\\\\host\\evil"]
BOMB = {"bomb": bytes(10**7)}
HOSTILE = {
    **{f"zip {name}": (lambda name=name: zipped({"ok": b"", name: b"evil"}), "leads outside") for name in OUTSIDE},
    **{f"tar {name}": (lambda name=name: tarred({"ok": b"", name: b"evil"}), "leads outside") for name in OUTSIDE},
    "line break": (lambda: tarred({"a\nb.jpg": b"1"}), "no proper name"),
    "escape": (lambda: tarred({"\x1b[2J.jpg": b"1"}), "no proper name"),
    "endless name": (lambda: zipped({"x" * 300: b"1"}), "damaged"),
    "symbolic link": (lambda: tarred({}, entry("b", tarfile.SYMTYPE, "/"), entry("b/c", size=3)), "link or a device"),
    "hard link": (lambda: tarred({"a": b"1"}, entry("b", tarfile.LNKTYPE, "a")), "link or a device"),
    "fifo": (lambda: tarred({}, entry("b", tarfile.FIFOTYPE)), "link or a device"),
    "device": (lambda: tarred({}, entry("b", tarfile.BLKTYPE)), "link or a device"),
    "link in zip": (lambda: strange_zip("a", stat.S_IFLNK | 0o777), "link or a device"),
    "device in zip": (lambda: strange_zip("a", stat.S_IFCHR | 0o777), "link or a device"),
    "encrypted": (lambda: strange_zip("a", flags=1), "encrypted"),
    "twice": (lambda: tarred({}, entry("a", size=2), entry("a", size=2)), "two files of one name"),
    "file and folder": (lambda: tarred({}, entry("a", size=2), entry("a/b", size=2)), "two files of one name"),
    "gz bomb": (lambda: gzip.compress(tarred(BOMB)), "unpacks to more than 2 MB or 20 files"),
    "bz2 bomb": (lambda: bz2.compress(tarred(BOMB)), "unpacks to more than 1 MB"),  # so little may not become more
    "xz bomb": (lambda: lzma.compress(tarred(BOMB)), "unpacks to more than"),
    "zip bomb": (lambda: zipped({f"{i}.png": bytes(10**6) for i in range(6)}), "unpacks to more than"),
    "many in a zip": (lambda: zipped({f"{i}": b"" for i in range(30)}), "20 files"),
    "many in a tar": (lambda: tarred({f"{i}": b"" for i in range(30)}), "20 files"),
    "declared bomb": (lambda: entry("bomb", size=10**10).tobuf() + bytes(1024), "unpacks to more than"),
    "sparse bomb": (lambda: entry("x", tarfile.GNUTYPE_SPARSE, size=10**10).tobuf() + bytes(1024), "more than|damaged"),
    "zip that lies": (lying_zip, "damaged"),
    "web page": (lambda: b"\n<html>please log in</html>", "a web page"),
    "nothing": (lambda: b"", "damaged|no files"),
    "empty zip": (lambda: b"PK\5\6" + bytes(18), "no files"),
    "zeros": (lambda: bytes(10240), "no files"),
    "noise": (lambda: b"\xff" * 999, "damaged"),
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_archives_are_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    make, reason = HOSTILE[kind]
    refused(tmp_path, make(), reason)
