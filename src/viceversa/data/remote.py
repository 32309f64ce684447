"""Data sets elsewhere: `data.root=s3://...`, `hf://...`, `https://...zip` become a folder in the local cache.

fsspec reads them, each kind through its own package; archives over HTTP are downloaded as `viceversa data get` does.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

from viceversa.config import ConfigError
from viceversa.data.archives import DEFAULT, Limits, is_archive, megabytes, safe_path, unpack
from viceversa.data.download import FetchError, download, one_line, version_of
from viceversa.files import cache_folder, locked, replacing
from viceversa.paths import EXTENSIONS

Files: TypeAlias = Mapping[str, tuple[str, "int | None"]]
"""By its path below the root: a file's address and size."""

LISTS = {".csv", ".tsv", ".jsonl", ".json"}
SUFFIXES = EXTENSIONS | LISTS | {".parquet", ".arrow"}  # what a layout may be made of
VERSIONS = (
    *("size", "ETag", "etag", "md5", "checksum", "blob_id"),
    *("LastModified", "Last-Modified", "last_modified", "created"),
)
"""What file systems tell of a file, and that changes when it does."""
NOTE = ".source.json"
BATCH = 256  # files fetched at once, as far as the file system can

log = logging.getLogger("viceversa")


def local_folder(url: str, limits: Limits = DEFAULT) -> Path:
    """Return the local copy of a data set elsewhere; fetch it if there is none, or if it has changed.

    Processes that start together wait for the one that fetches. If the address cannot be reached, a copy from before
    will do, with a warning. Raises FetchError if there is none, ConfigError if a package is missing.
    """
    name = re.sub(r"[^\w.-]+", "-", urlsplit(url).path.strip("/").rpartition("/")[2]) or "data"
    folder = cache_folder() / "data" / f"{name}-{hashlib.sha256(url.encode()).hexdigest()[:12]}"
    with locked(folder):
        known = _noted(folder)
        try:
            version, files = _look(url)
        except FetchError as error:
            if known is None:
                raise
            log.warning("%s; using the copy in %s", error, folder)
            return folder
        if known is None or version not in ("", known):
            cache_folder(store=True)
            changed = "" if known is None else "has changed since it was fetched; "
            log.warning("%s: %sfetching it into %s", url, changed, folder)
            _fetch(url, version, files, folder, limits)
    return folder


def _noted(folder: Path) -> str | None:
    """Return the version of a copy that is whole, or None."""
    try:
        return str(json.loads((folder / NOTE).read_text("utf-8"))["version"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _look(url: str) -> tuple[str, Files]:
    """Return the version of what lies at an address, "" if it does not say, and its files; none for an archive."""
    if _over_http(url) and is_archive(urlsplit(url).path):
        return version_of(url), {}
    system, root = _system(url)
    try:
        if is_archive(root):
            return _version(system.info(root)), {}
        if _over_http(url):  # find() would leave out, without a word, what it cannot read
            walk = system.walk(root, on_error="raise", detail=True)
            found = {info["name"]: info for _, _, files in walk for info in files.values()}
        else:
            found = system.find(root, detail=True)
    except Exception as error:  # each file system has its own kinds
        raise FetchError(f"{url}: cannot be read ({type(error).__name__}: {one_line(error)})") from None
    files: dict[str, tuple[str, int | None]] = {}
    digest = hashlib.sha256()
    for path, info in sorted(found.items()):
        name = path[len(root) :].lstrip("/")
        name = unquote(name) if _over_http(url) else name
        if Path(name).suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in Path(name).parts):
            files[name] = (path, info.get("size"))
            digest.update(f"{name}\0{_version(info)}\n".encode("utf-8", "surrogateescape"))
    if all(Path(name).suffix.lower() in LISTS for name in files):
        raise FetchError(f"{url}: no images there")
    return digest.hexdigest(), files


def _over_http(url: str) -> bool:
    return urlsplit(url).scheme in ("http", "https")


def _version(info: Mapping[str, Any]) -> str:
    return " ".join(str(info[key]) for key in VERSIONS if info.get(key) is not None)


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
    # over HTTP, links are relative to a folder that ends in /
    return system, path.rstrip("/") + "/" * (_over_http(url) and not is_archive(path))


def _fetch(url: str, version: str, files: Files, folder: Path, limits: Limits) -> None:
    """Bring the data into `folder`, which is replaced when all is there."""
    fresh = folder.with_name(f"{folder.name}.{hashlib.sha256(version.encode()).hexdigest()[:8]}")
    for stale in folder.parent.glob(f"{folder.name}.*"):  # another version's files are of no use
        if not stale.name.startswith(fresh.name):
            shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
    if files:
        _fetch_files(url, files, fresh, limits)
    else:
        _fetch_archive(url, fresh, limits)
    with replacing(fresh / NOTE) as path:
        path.write_text(json.dumps({"url": url, "version": version}), "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.replace(folder)


def _fetch_archive(url: str, folder: Path, limits: Limits) -> None:
    archive = folder.with_name(f"{folder.name}.archive")
    if _over_http(url):
        download([url], archive, limit=limits.size)
    else:
        system, path = _system(url)
        try:
            system.get_file(path, str(archive))
        except Exception as error:
            raise FetchError(f"{url}: cannot be read ({one_line(error)})") from None
    shutil.rmtree(folder, ignore_errors=True)
    unpack(archive, folder, limits)
    archive.unlink()


def _fetch_files(url: str, files: Files, folder: Path, limits: Limits) -> None:
    """Fetch the files that an earlier try has not brought."""
    total = sum(size or 0 for _, size in files.values())
    if len(files) > limits.entries or total > limits.size:
        raise FetchError(f"{url}: {len(files)} files, {megabytes(total)}: more than will be fetched")
    system, _ = _system(url)
    wanted = [(path, folder / safe_path(name), size) for name, (path, size) in files.items()]
    missing = [(path, target, size) for path, target, size in wanted if size is None or not _is_whole(target, size)]
    for start in range(0, len(missing), BATCH):
        batch = missing[start : start + BATCH]
        for _, target, _ in batch:
            target.parent.mkdir(parents=True, exist_ok=True)
        try:
            system.get([path for path, _, _ in batch], [str(target) for _, target, _ in batch])
        except Exception as error:
            reason = f"{type(error).__name__}: {one_line(error)}"
            raise FetchError(f"{url}: broke off ({reason}); the same command again goes on") from None
        for path, target, size in batch:
            if not _is_whole(target, size):
                raise FetchError(f"{url}: {path} did not come whole; the same command again goes on")


def _is_whole(path: Path, size: int | None) -> bool:
    return path.is_file() and size in (None, path.stat().st_size)
