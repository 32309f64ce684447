"""Writing files so that they are either the old ones or the new ones, whatever happens in between; and the cache."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; afterwards move it into place.

    If the block raises, or the process dies, `path` is left as it was. Missing parent folders are made. `durable` also
    survives a power cut: the file is flushed to disk first, which takes its time. A full disk is always an OSError that
    names `path`, whatever the library that wrote made of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # some libraries write files that only their owner may read
        if durable:
            _flush(temporary)
        os.replace(temporary, path)
    except Exception as error:
        if _says_full(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)
    if durable and os.name == "posix":
        _flush(path.parent)


@contextmanager
def replacing_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary folder beside `path` to fill; afterwards move it into place, whole.

    If the block raises, or the process dies, `path` is left as it was; what a killed process left behind goes with the
    next try. Raises FileExistsError, before anything is written, if `path` is a file, holds anything and is not to be
    overwritten, or holds the working folder.
    """
    target = path.resolve()
    if target.is_file() or (target.is_dir() and not overwrite and any(target.iterdir())):
        what = "a file is there" if target.is_file() else "not empty; choose another folder, or --overwrite it"
        raise FileExistsError(f"{path}: {what}")
    if Path.cwd().is_relative_to(target):
        raise FileExistsError(f"{path}: holds the working folder; choose another")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary, old = (target.with_name(f".{target.name}.{os.getpid()}.{what}") for what in ("partial", "old"))
    for leftover in target.parent.glob(f".{glob.escape(target.name)}.*.partial"):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        temporary.mkdir()
        yield temporary
        if target.exists():
            os.replace(target, old)
        os.replace(temporary, target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Delete what a killed process left half written in a folder and its subfolders."""
    for leftover in folder.rglob(".*.partial*"):
        leftover.unlink(missing_ok=True)


def cache_folder() -> Path:
    """Return the folder for what can be had again: VICEVERSA_CACHE, or where the system keeps such things."""
    from platformdirs import user_cache_dir

    return Path(os.environ.get("VICEVERSA_CACHE") or user_cache_dir("viceversa")).expanduser()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time work on `path`; the others wait. The lock dies with its process."""
    from filelock import FileLock

    name = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]
    lock = cache_folder() / "locks" / f"{name}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        yield


def _says_full(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, means a full disk."""
    while error is not None:
        if getattr(error, "errno", None) == errno.ENOSPC or os.strerror(errno.ENOSPC) in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
