"""Unpacking archives of strangers: zip and tar, nothing outside the folder, no links, no bombs, all or nothing."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import re
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from viceversa.data.fetch.download import silent
from viceversa.data.fetch.transfer import Progress, megabytes
from viceversa.files import replacing_folder

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
CHUNK = 1 << 18
DEPTH = 32  # folders in each other
OURS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO)  # no fault of the archive


class ArchiveError(ValueError):
    """An archive that will not be unpacked; the message is one line that names it and what is wrong."""


@dataclass(frozen=True)
class Limits:
    """How much an archive may become."""

    entries: int = 500_000
    size: int = 200 * 10**9
    """Bytes, unpacked."""
    ratio: int = 200
    """Bytes unpacked for a byte packed. Pictures hardly shrink; even flat label maps stay below."""

    def bytes_for(self, archive: Path) -> int:
        """Return how many bytes may come out of an archive."""
        return min(self.size, self.ratio * archive.stat().st_size + 10**6)


DEFAULT = Limits()


@dataclass(frozen=True)
class _Member:
    """A file in an archive, by its path in it."""

    name: str
    size: int
    content: IO[bytes]


def is_archive(name: str) -> bool:
    """Whether a file's name ends as those of archives do that we can unpack."""
    return name.lower().endswith(SUFFIXES)


def unpack(archive: Path, folder: Path, limits: Limits = DEFAULT, progress: Progress = silent) -> None:
    """Unpack an archive into `folder`, which appears at once and whole; a single folder at its top is left out.

    `progress` is given the bytes of the archive that are read. Raises ArchiveError for an archive that is damaged, too
    large, or holds anything but files and folders inside itself; `folder` then does not appear.
    """
    try:
        with replacing_folder(folder) as partial:
            _fill(partial, archive, limits, progress)
            _without_top(partial)
    except ArchiveError as error:
        raise ArchiveError(f"{archive}: {error}; not unpacked") from None
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise ArchiveError(f"{archive}: holds files in each other's way; not unpacked") from None
    except OSError as error:
        if error.errno in OURS:
            raise
        raise ArchiveError(f"{archive}: damaged ({_words(error)}); not unpacked") from None
    except Exception as error:  # on damaged archives the library raises nearly anything
        raise ArchiveError(f"{archive}: damaged ({_words(error)}); not unpacked") from None


def _without_top(folder: Path) -> None:
    """If there is only one folder in a folder, put what is in it in its place."""
    inside = list(folder.iterdir())
    if len(inside) == 1 and inside[0].is_dir():
        top = inside[0].rename(folder / ".top")
        for path in top.iterdir():
            path.rename(folder / path.name)
        top.rmdir()


def _fill(folder: Path, archive: Path, limits: Limits, progress: Progress) -> None:
    allowed, packed = limits.bytes_for(archive), archive.stat().st_size
    written = files = 0
    with archive.open("rb") as file:
        for member in _members(file, folder, limits.entries, allowed):
            path = folder / safe_path(member.name)
            if written + member.size > allowed:
                raise ArchiveError(f"unpacks to more than {megabytes(allowed)}")
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as target:
                while chunk := member.content.read(CHUNK):
                    written += len(chunk)
                    if written > allowed:  # whatever was declared
                        raise ArchiveError(f"unpacks to more than {megabytes(allowed)}")
                    target.write(chunk)
            files += 1
            progress(min(file.tell(), packed), packed)
    if not files:
        raise ArchiveError("holds no files")


def safe_path(name: str) -> Path:
    """Return a name from elsewhere as a path that stays within the folder it is put in, or raise ArchiveError."""
    path = PurePosixPath(name.replace("\\", "/"))
    shown = repr(name[:80])
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        raise ArchiveError(f"holds a path that leads outside of it, {shown}")
    if not path.parts or re.search(r"[\x00-\x1f\x7f]", name):
        raise ArchiveError(f"holds a file without a proper name, {shown}")
    if len(path.parts) > DEPTH or len(os.fsencode(name)) > 1000 or max(len(os.fsencode(p)) for p in path.parts) > 240:
        raise ArchiveError(f"holds a path that is too long, {shown}")
    return Path(path)


def _members(file: IO[bytes], folder: Path, entries: int, allowed: int) -> Iterator[_Member]:
    """Yield the files of an archive; its first bytes tell which kind it is. Each must be read before the next."""
    head = file.read(6)
    file.seek(0)
    if head.startswith(b"PK"):
        return _zip_members(file, entries)
    if head.startswith(b"\x1f\x8b"):
        return _tar_members(cast(IO[bytes], gzip.GzipFile(fileobj=file)), folder, entries, allowed)
    if head.startswith(b"BZh"):
        return _tar_members(cast(IO[bytes], bz2.BZ2File(file)), folder, entries, allowed)
    if head.startswith(b"\xfd7zXZ\x00"):
        return _tar_members(cast(IO[bytes], lzma.LZMAFile(file)), folder, entries, allowed)
    return _tar_members(file, folder, entries, allowed)


def _zip_members(file: IO[bytes], entries: int) -> Iterator[_Member]:
    # The table of contents is read in one piece, with 46 bytes and the name for each entry.
    bounded = cast(IO[bytes], _Bounded(file, piece=128 * entries, total=1 << 62))
    with zipfile.ZipFile(bounded) as archive:
        if len(archive.filelist) > entries:
            raise ArchiveError(f"holds more than {entries} entries")
        for info in archive.filelist:
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ArchiveError(f"holds a link or a device, {info.filename[:80]!r}")
            if info.flag_bits & 1:
                raise ArchiveError("is encrypted")
            if not info.is_dir():
                with archive.open(info) as content:
                    yield _Member(info.filename, info.file_size, content)


def _tar_members(file: IO[bytes], folder: Path, entries: int, allowed: int) -> Iterator[_Member]:
    bounded = _Bounded(file, piece=1 << 20, total=allowed + 1024 * entries)  # headers and padding come on top
    with tarfile.open(fileobj=cast(Any, bounded), mode="r:") as archive:
        count = 0
        while (info := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # or it would remember all
            count += 1
            if count > entries:
                raise ArchiveError(f"holds more than {entries} entries")
            if not info.isfile() and not info.isdir():
                raise ArchiveError(f"holds a link or a device, {info.name[:80]!r}")
            if info.issparse():
                raise ArchiveError(f"holds a file with holes, {info.name[:80]!r}")
            if info.isfile():
                safe_path(info.name)
                tarfile.data_filter(info, str(folder))  # a second pair of eyes: Python's own rules for strangers
                with cast(IO[bytes], archive.extractfile(info)) as content:
                    yield _Member(info.name, info.size, content)
        if bounded.last.strip(b"\0"):  # tarfile takes a header that is cut or no header for the end
            raise ArchiveError("is damaged (it ends in the middle)")


class _Bounded:
    """A file that gives no more than `piece` bytes at once and `total` bytes altogether, as a table or header may ask.

    `last` is what was read last.
    """

    def __init__(self, file: IO[bytes], piece: int, total: int) -> None:
        self.file, self.piece, self.total = file, piece, total
        self.last = b""

    def read(self, size: int | None = -1) -> bytes:
        wanted = self.piece + 1 if size is None or size < 0 else size
        if wanted > self.piece + 1:
            raise ArchiveError(f"asks for {megabytes(wanted)} of memory")
        self.last = self.file.read(wanted)
        if len(self.last) > self.piece or self.file.tell() > self.total:
            raise ArchiveError("is larger inside than it may be")
        return self.last

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET and offset > self.total:
            raise ArchiveError("is larger inside than it may be")
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self.file.close()


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
