"""Unpacking archives from elsewhere: nothing outside the folder, no links, no bombs; all of it or nothing."""

from __future__ import annotations

import errno
import re
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, TypeAlias

from viceversa.files import replacing_folder

LARGEST, RATIO, ENTRIES = 200 * 10**9, 200, 500_000  # bytes, bytes for a byte packed (images hardly shrink), files
NOT_THE_ARCHIVE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO)

Member: TypeAlias = tuple[str, int, bool, "IO[bytes] | None"]
"""Name, size, whether it is a file or a folder, and its content, if it is a file."""


class ArchiveError(ValueError):
    """An archive that will not be unpacked; the message is one line that names it and what is wrong."""


def unpack(archive: Path, folder: Path, largest: int = LARGEST, entries: int = ENTRIES) -> None:
    """Unpack an archive into `folder`, which appears at once and whole; a single folder at its top is left out.

    Raises ArchiveError for an archive that is damaged, larger than so many bytes or files, or holds anything but files
    and folders inside itself; `folder` then does not appear.
    """
    try:
        with replacing_folder(folder) as half, archive.open("rb") as file:
            for name, content in _files(file, min(largest, RATIO * archive.stat().st_size + 10**6), entries):
                path = half / safe_path(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as target:
                    shutil.copyfileobj(content, target)
            _drop_top(half)
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
        raise ArchiveError(f"{name[:80]!r} leads outside of its folder")
    if not path.parts or re.search(r"[\x00-\x1f\x7f]", name):
        raise ArchiveError(f"{name[:80]!r} is no proper name for a file")
    return Path(path)


def _drop_top(folder: Path) -> None:
    """If there is only one folder in a folder, put what is in it in its place."""
    inside = list(folder.iterdir())
    if not inside:
        raise ArchiveError("holds no files")
    if len(inside) == 1 and inside[0].is_dir():
        top = inside[0].rename(folder / ".top")
        for path in top.iterdir():
            path.rename(folder / path.name)
        top.rmdir()


def _files(file: IO[bytes], allowed: int, entries: int) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield name and content of the files in an archive; neither library gives more of a file than its header says."""
    head = file.read(6)
    file.seek(0)
    if head.lstrip().startswith(b"<"):
        raise ArchiveError("a web page, not an archive")
    total = 0
    for count, (name, size, plain, content) in enumerate(_zipped(file) if head.startswith(b"PK") else _tarred(file)):
        total += size
        if total > allowed or count >= entries:
            raise ArchiveError(f"unpacks to more than {allowed / 1e6:.0f} MB or {entries} files")
        if not plain:
            raise ArchiveError(f"holds a link or a device, {name[:80]!r}")
        if content:
            with content:
                yield name, content


def _zipped(file: IO[bytes]) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.filelist:
            plain = stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
            yield info.filename, info.file_size, plain, None if info.is_dir() else archive.open(info)


def _tarred(file: IO[bytes]) -> Iterator[Member]:
    with tarfile.open(fileobj=file) as archive:
        for info in archive:
            content = archive.extractfile(info) if info.isfile() else None
            yield info.name, info.size, info.isfile() or info.isdir(), content
