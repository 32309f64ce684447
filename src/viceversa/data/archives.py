"""Unpacking archives from elsewhere: nothing outside the folder, no links, no bombs; all of it or nothing."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, TypeAlias

from viceversa.files import replacing_folder

Progress: TypeAlias = Callable[[int, "int | None"], None]
"""Called with the bytes done and the bytes to do (None: not known)."""

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
COMPRESSED: dict[bytes, Callable[[Any], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
CHUNK = 1 << 18
NOT_THE_ARCHIVE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO)


class ArchiveError(ValueError):
    """An archive that will not be unpacked; the message is one line that names it and what is wrong."""


@dataclass(frozen=True)
class Limits:
    """How much an archive may become: entries, bytes, and bytes for a byte packed (images hardly shrink)."""

    entries: int = 500_000
    size: int = 200 * 10**9
    ratio: int = 200


DEFAULT = Limits()


def is_archive(name: str) -> bool:
    """Whether a file's name ends as those of archives do that we can unpack."""
    return name.lower().endswith(SUFFIXES)


def megabytes(size: int) -> str:
    """Return a size in bytes as "12.5 MB" or "1.3 GB"."""
    return f"{size / 1e9:.1f} GB" if size >= 10**9 else f"{max(size / 1e6, 0.1):.3g} MB"


def unpack(archive: Path, folder: Path, limits: Limits = DEFAULT, progress: Progress = lambda *_: None) -> None:
    """Unpack an archive into `folder`, which appears at once and whole; a single folder at its top is left out.

    Raises ArchiveError for an archive that is damaged, too large, or holds anything but files and folders inside
    itself; `folder` then does not appear.
    """
    packed = archive.stat().st_size
    allowed = min(limits.size, limits.ratio * packed + 10**6)
    try:
        with replacing_folder(folder) as half, archive.open("rb") as file:
            for name, content in _members(file, half, limits.entries, allowed):
                path = half / safe_path(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as target:
                    while chunk := content.read(CHUNK):
                        target.write(chunk)
                progress(min(file.tell(), packed), packed)
            _without_top(half)
    except FileExistsError:
        raise ArchiveError(f"{archive}: holds two files of one name; not unpacked") from None
    except Exception as error:  # on damaged archives the libraries raise nearly anything
        if isinstance(error, OSError) and error.errno in NOT_THE_ARCHIVE:
            raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        what = reason if isinstance(error, ArchiveError) else f"damaged ({reason})"
        raise ArchiveError(f"{archive}: {what}; not unpacked") from None


def safe_path(name: str) -> Path:
    """Return a name from elsewhere as a path that stays within the folder it is put in, or raise ArchiveError."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        raise ArchiveError(f"holds a path that leads outside of it, {name[:80]!r}")
    if not path.parts or re.search(r"[\x00-\x1f\x7f]", name):
        raise ArchiveError(f"holds a file without a proper name, {name[:80]!r}")
    return Path(path)


def _without_top(folder: Path) -> None:
    """If there is only one folder in a folder, put what is in it in its place."""
    inside = list(folder.iterdir())
    if not inside:
        raise ArchiveError("holds no files")
    if len(inside) == 1 and inside[0].is_dir():
        top = inside[0].rename(folder / ".top")
        for path in top.iterdir():
            path.rename(folder / path.name)
        top.rmdir()


def _members(file: IO[bytes], folder: Path, entries: int, allowed: int) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield name and content of the files in an archive, after a look at each; each must be read before the next.

    What is declared counts: neither zipfile nor tarfile gives more of a file than its header says.
    """
    head = file.read(6)
    file.seek(0)
    if head.lstrip().startswith(b"<"):
        raise ArchiveError("a web page, not an archive")
    opener = next((opener for magic, opener in COMPRESSED.items() if head.startswith(magic)), lambda plain: plain)
    members = _zipped(file, entries) if head.startswith(b"PK") else _tarred(opener(file), folder)
    total = 0
    for count, (name, size, is_plain, content) in enumerate(members):
        total += size
        if count >= entries:
            raise ArchiveError(f"holds more than {entries} entries")
        if not is_plain:
            raise ArchiveError(f"holds a link or a device, {name[:80]!r}")
        if total > allowed:
            raise ArchiveError(f"unpacks to more than {megabytes(allowed)}")
        if content:
            with content() as opened:
                yield name, opened


Member: TypeAlias = tuple[
    str, int, bool, "Callable[[], IO[bytes]] | None"
]  # name, size, file or folder?, what opens it


def _zipped(file: IO[bytes], entries: int) -> Iterator[Member]:
    table: Any = _Frugal(file, 128 * entries)  # the table of contents is read in one piece
    with zipfile.ZipFile(table) as archive:
        for info in archive.filelist:
            if info.flag_bits & 1:
                raise ArchiveError("is encrypted")
            is_plain = stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
            yield info.filename, info.file_size, is_plain, None if info.is_dir() else partial(archive.open, info)


def _tarred(file: Any, folder: Path) -> Iterator[Member]:
    headers: Any = _Frugal(file, 1 << 20)
    with tarfile.open(fileobj=headers, mode="r:") as archive:
        while (info := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # or it would remember all
            if info.isfile():
                safe_path(info.name)
                tarfile.data_filter(info, str(folder))  # Python's own rules come on top
            opener: Any = partial(archive.extractfile, info)
            yield info.name, info.size, info.isfile() or info.isdir(), opener if info.isfile() else None
        if headers.last.strip(b"\0"):  # tarfile takes a header that is cut, or none, for the end
            raise ArchiveError("is damaged (it ends in the middle)")


class _Frugal:
    """A file that gives no more than `piece` bytes at once, whatever a header may ask for; `last` is the last piece."""

    def __init__(self, file: IO[bytes], piece: int) -> None:
        self.file, self.piece, self.last = file, piece, b""
        self.seek, self.tell, self.seekable, self.close = file.seek, file.tell, file.seekable, file.close

    def read(self, size: int = -1) -> bytes:
        if size <= self.piece:
            self.last = self.file.read(self.piece + 1 if size < 0 else size)
        if max(size, len(self.last)) > self.piece:
            raise ArchiveError(f"asks for more than {megabytes(self.piece)} of memory")
        return self.last
