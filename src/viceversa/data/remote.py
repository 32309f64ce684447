"""Data sets elsewhere: `data.root=s3://...`, `hf://...`, `https://...zip` become a folder in the local cache.

fsspec reads them, each kind through its own package; archives over HTTP are downloaded as `viceversa data get` does.
"""

from __future__ import annotations

import hashlib
import logging
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from viceversa.config import ConfigError
from viceversa.data.archives import safe_path, unpack
from viceversa.data.download import FetchError, download, one_line
from viceversa.files import cache_folder, locked, replacing_folder
from viceversa.paths import EXTENSIONS

SUFFIXES = EXTENSIONS | {".csv", ".parquet"}  # what a layout may be made of

log = logging.getLogger("viceversa")


def local_folder(url: str) -> Path:
    """Return the local copy of a data set elsewhere; fetch it if there is none.

    Processes that start together wait for the one that fetches. A copy stays as it is until its folder is deleted.
    Raises FetchError if the data cannot be had, ConfigError if a package is missing.
    """
    name = re.sub(r"[^\w.-]+", "-", urlsplit(url).path.strip("/").rpartition("/")[2]) or "data"
    folder = cache_folder() / "data" / f"{name}-{hashlib.sha256(url.encode()).hexdigest()[:12]}"
    with locked(folder):
        if not folder.is_dir():
            cache_folder(store=True)
            log.warning("%s: fetching it into %s, where it stays until you delete it", url, folder)
            if urlsplit(url).scheme in ("http", "https"):
                archive = folder.with_name(f"{folder.name}.archive")
                download([url], archive)
                unpack(archive, folder)
                archive.unlink()
            else:
                _fetch_files(url, folder)
    return folder


def _fetch_files(url: str, folder: Path) -> None:
    """Fetch a folder's images and lists, all or none."""
    system, root = _system(url)
    with replacing_folder(folder) as half:
        try:
            names = {path: safe_path(path[len(root) :].lstrip("/")) for path in system.find(root)}
            wanted = {path: str(half / name) for path, name in names.items() if _is_wanted(name)}
            system.get([*wanted], [*wanted.values()])
        except Exception as error:  # each file system has its own kinds
            raise FetchError(f"{url}: cannot be read ({type(error).__name__}: {one_line(error)})") from None
        if not wanted:
            raise FetchError(f"{url}: no images there")


def _is_wanted(name: Path) -> bool:
    """Whether a data set may be made of such a file."""
    return name.suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in name.parts)


def _system(url: str) -> tuple[Any, str]:
    """Return fsspec's file system for an address, and the path in it."""
    from fsspec.core import url_to_fs

    try:
        system, path = url_to_fs(url)
    except ImportError as error:
        raise ConfigError(f"{url}: takes another package: {one_line(error)}") from None
    except Exception as error:
        raise ConfigError(f"{url}: not an address that can be read ({one_line(error)})") from None
    system.invalidate_cache()  # what it remembers of an earlier look may be out of date
    return system, path.rstrip("/")
