"""Archives of strangers: what is good comes out whole, what is hostile comes out not at all."""

from __future__ import annotations

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

from viceversa.data.archives import ArchiveError, Limits, unpack

FILES = {"set/trainA/1.jpg": b"a" * 700, "set/trainA/ü 2.jpg": b"", "set/trainB/deep/1.jpg": os.urandom(600_000)}


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, body in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            archive.writestr(info, body)
    return data.getvalue()


def tarred(files: dict[str, bytes], *infos: tarfile.TarInfo) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, body in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
        for info in infos:
            archive.addfile(info, io.BytesIO(b"x" * info.size))
    return data.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, to: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, to, size
    return info


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


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(tmp_path: Path, body: bytes, match: str, limits: Limits | None = None) -> None:
    """The archive is refused with this reason, by name, and nothing of it is left anywhere."""
    archive = tmp_path / "home" / "set.zip"
    archive.parent.mkdir(exist_ok=True)
    archive.write_bytes(body)
    with pytest.raises(ArchiveError, match=match) as caught:
        unpack(archive, archive.with_name("set"), limits or Limits())
    assert str(caught.value).startswith(f"{archive}: ")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.rglob("*")] == ["home", "set.zip"]


PACKERS = {
    "zip": zipped,
    "zip, stored": lambda files: zipped(files, zipfile.ZIP_STORED),
    "zip, lzma": lambda files: zipped(files, zipfile.ZIP_LZMA),
    "tar": tarred,
    "tar.gz": lambda files: gzip.compress(tarred(files)),
    "tar.bz2": lambda files: bz2.compress(tarred(files)),
    "tar.xz": lambda files: lzma.compress(tarred(files)),
}


@pytest.mark.parametrize("kind", PACKERS)
def test_good_archives_come_out_whole(tmp_path: Path, kind: str) -> None:
    archive = tmp_path / "set"
    archive.write_bytes(PACKERS[kind](FILES))
    seen: list[tuple[int, int | None]] = []
    unpack(archive, tmp_path / "out", progress=lambda *at: seen.append(at))
    assert tree(tmp_path / "out") == {name.removeprefix("set/"): body for name, body in FILES.items()}
    assert seen == sorted(seen)
    assert seen[-1][0] <= archive.stat().st_size
    assert not list(tmp_path.glob(".*"))


def test_windows_separators_are_separators(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"a\\1.jpg": b"1", "b\\1.jpg": b"2"}))
    unpack(tmp_path / "a.zip", tmp_path / "a")
    assert sorted(tree(tmp_path / "a")) == ["a/1.jpg", "b/1.jpg"]


def test_files_are_ordinary_ones(tmp_path: Path) -> None:
    info = entry("run.sh")
    info.mode, info.uid = 0o6777, 0
    (tmp_path / "a.tar").write_bytes(tarred({}, info))
    unpack(tmp_path / "a.tar", tmp_path / "a")
    mode = (tmp_path / "a" / "run.sh").stat().st_mode
    assert not mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IXUSR)


OUTSIDE = [
    "../evil",
    "a/../../evil",
    "/tmp/evil",
    "..\\evil",
    "a\\..\\..\\evil",
    "C:\\evil",
    "c:evil",
    "\\\\host\\evil",
]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("packed", [zipped, tarred])
def test_paths_that_lead_outside_are_refused(tmp_path: Path, name: str, packed: object) -> None:
    refused(tmp_path, packed({"ok.jpg": b"fine", name: b"evil"}), "leads outside")  # type: ignore[operator]


@pytest.mark.parametrize("name", ["a\nb.jpg", "a\x7f", "\x1b[2J.jpg"])
def test_names_with_control_characters_are_refused(tmp_path: Path, name: str) -> None:
    refused(tmp_path, tarred({name: b"1"}), "proper name")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_links_and_devices_in_tars_are_refused(tmp_path: Path, kind: bytes) -> None:
    refused(tmp_path, tarred({"a": b"1"}, entry("b", kind, "a"), entry("b/c", size=3)), "link or a device")


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_in_zips_are_refused(tmp_path: Path, mode: int) -> None:
    refused(tmp_path, strange_zip("a", mode | 0o777), "link or a device")


def test_encrypted_zips_are_refused(tmp_path: Path) -> None:
    refused(tmp_path, strange_zip("a", flags=1), "encrypted")


@pytest.mark.parametrize("names", [("a", "a"), ("a", "a/b"), ("a/b", "a")])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_in_each_others_way_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    refused(tmp_path, tarred({}, *(entry(name, size=2) for name in names)), "two files of one name")


BOMBS = {
    "gz": lambda: gzip.compress(tarred({"bomb": bytes(10**7)})),
    "bz2": lambda: bz2.compress(tarred({"bomb": bytes(10**7)})),
    "xz": lambda: lzma.compress(tarred({"bomb": bytes(10**7)})),
    "zip": lambda: zipped({f"{i}.png": bytes(10**7) for i in range(6)}),
    "declared": lambda: entry("bomb", size=10**10).tobuf() + bytes(1024),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_are_refused_before_they_are_written(tmp_path: Path, kind: str) -> None:
    refused(tmp_path, BOMBS[kind](), "unpacks to more than")


def test_a_zip_that_lies_about_sizes_is_refused(tmp_path: Path) -> None:
    body = bytearray(zipped({"a.png": os.urandom(1000) + bytes(10**7)}))
    for signature, place in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        at = body.index(signature) + place
        body[at : at + 4] = struct.pack("<I", 5)
    refused(tmp_path, bytes(body), "damaged")


@pytest.mark.parametrize("packed", [zipped, tarred])
def test_limits_hold(tmp_path: Path, packed: object) -> None:
    refused(tmp_path, packed(FILES), "unpacks to more than 0.1 MB", Limits(size=1000))  # type: ignore[operator]
    refused(tmp_path, packed({f"{i}": b"" for i in range(30)}), "more than 20 entries", Limits(20))  # type: ignore[operator]


def test_a_million_entries_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    one = zipped({"": b""})
    entries = one[one.index(b"PK\1\2") : one.index(b"PK\5\6")]
    table = entries * 2_000_000  # 46 bytes each; a real zip reader would now make two million objects of them
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 65535, 65535, len(table), 0, 0)
    refused(tmp_path, table + end, "MB of memory")
    header = entry("x", tarfile.DIRTYPE).tobuf()
    refused(tmp_path, gzip.compress(header * 30_000, 1), "more than 20000 entries", Limits(20_000))


def test_headers_that_ask_for_memory_are_refused(tmp_path: Path) -> None:
    for kind in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
        header = entry("x", kind, size=8 * 10**9).tobuf(tarfile.GNU_FORMAT)
        refused(tmp_path, gzip.compress(header + bytes(10**7)), "of memory")


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("part", [0.3, 0.9, 0.98])
def test_archives_that_are_cut_are_refused(tmp_path: Path, kind: str, part: float) -> None:
    body = PACKERS[kind](FILES).rstrip(b"\0")
    refused(tmp_path, body[: int(part * len(body))], "damaged")


@pytest.mark.parametrize("damage", [b"", b"\xff" * 512])
def test_a_tar_whose_second_header_is_damaged_has_not_ended(tmp_path: Path, damage: bytes) -> None:
    body = tarred({"a": b"1", "b": b"2"})
    refused(tmp_path, body[: 1024 + 100] + damage, "ends in the middle")


@pytest.mark.parametrize(
    "body", [b"", b"PK", b"PK\5\6" + bytes(18), b"\x1f\x8b", b"BZh9", b"<html>", bytes(10240), b"\xff" * 999]
)
def test_what_is_no_archive_is_refused(tmp_path: Path, body: bytes) -> None:
    refused(tmp_path, body, "damaged|no files|web page")


def test_a_full_disk_is_not_blamed_on_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(FILES))
    (tmp_path / "locked").mkdir()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(OSError, match="No space left"):
        unpack(tmp_path / "a.zip", tmp_path / "locked" / "a")
