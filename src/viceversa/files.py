"""Writing files so that they are either the old ones or the new ones, whatever happens in between; and the cache."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias

from viceversa.config import ConfigError

Track: TypeAlias = Callable[[Iterable[Any], int], Iterable[Any]]
"""What shows the progress of going through so many things: a bar on a terminal, or nothing."""


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; afterwards move it into place.

    If the block raises, or the process dies, `path` is left as it was. Missing parent folders are made. `durable` also
    survives a power cut, which takes its time. A full disk is always an OSError that names `path`.
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

    If the block raises, or the process dies, `path` is left as it was. Raises FileExistsError, before anything is
    written, if `path` is a file, holds anything and is not to be overwritten, or holds the working folder.
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
    for leftover in list(folder.rglob(".*.partial*")):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def cache_folder(*, store: bool = False) -> Path:
    """Return the folder for what can be had again: VICEVERSA_CACHE, or where the system keeps such things.

    Raises OSError, with the remedy, where there is none, or where nothing can be written that is to be (`store`).
    """
    from platformdirs import user_cache_dir

    try:
        folder = Path(os.environ.get("VICEVERSA_CACHE") or user_cache_dir("viceversa")).expanduser()
        if store:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        return folder
    except (OSError, RuntimeError) as error:
        raise OSError(f"no folder for downloads can be written ({error}); name one: VICEVERSA_CACHE=FOLDER") from None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time work on `path`; the others wait, if there is a cache folder to hold the lock."""
    from filelock import FileLock

    name = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]
    try:
        folder = cache_folder(store=True) / "locks"
    except OSError:
        yield
        return
    folder.mkdir(exist_ok=True)
    with FileLock(folder / f"{name}.lock"):
        yield


PATIENCE = 15.0
"""Seconds to wait for a run's lock: a killed process's data workers notice within five that it has gone."""


@contextmanager
def lock_run(run: Path) -> Iterator[None]:
    """Keep others from training in the same folder while the block runs; raise ConfigError if it is taken.

    The lock goes with the process, however that ends. On NFS it works between machines where the server has flock.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(run / ".lock")
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        raise ConfigError(f"{run}: another process is training in it; choose another folder: run=FOLDER") from None
    try:
        yield
    finally:
        lock.release()


def in_training(run: Path) -> bool:
    """Whether a process is training in a run's folder."""
    from filelock import FileLock, Timeout

    if not (run / ".lock").exists():
        return False
    try:
        with FileLock(run / ".lock", timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a folder that may only be read
        return False


def require(path: Path, kind: str = "") -> Path:
    """Return the path; raise FileNotFoundError, with what is called nearly so, if nothing is there."""
    if path.exists():
        return path
    siblings = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    close = get_close_matches(path.name, siblings, n=1)
    kind = kind or ("file" if path.suffix else "folder")
    raise FileNotFoundError(f"{path}: no such {kind}" + (f"; did you mean {path.parent / close[0]}?" if close else ""))


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
