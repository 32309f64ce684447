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
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from viceversa.config import ConfigError
from viceversa.data.archives import DEFAULT, Limits, is_archive, megabytes, safe_path, unpack
from viceversa.data.download import FetchError, download, version_of
from viceversa.files import cache_folder, locked, replacing
from viceversa.paths import EXTENSIONS

LISTS = {".csv", ".tsv", ".jsonl", ".json"}
SUFFIXES = EXTENSIONS | LISTS | {".npy", ".parquet", ".arrow"}  # what a layout may be made of
VERSIONS = ("ETag", "etag", "md5", "checksum", "blob_id", "LastModified", "Last-Modified", "last_modified", "created")
PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "hf": "huggingface_hub", "http": "aiohttp", "https": "aiohttp", "gs": "gcsfs"}
NOTE = ".source.json"
BATCH = 256  # files fetched at once, as far as the file system can

log = logging.getLogger("viceversa")


@dataclass(frozen=True)
class _Remote:
    """What lies at an address."""

    fingerprint: str
    """Changes when the data do; "" if the server does not say."""
    files: Mapping[str, tuple[str, int | None]]
    """By its path below the root: a file's address and size; empty for an archive."""


def is_remote(root: str) -> bool:
    """Whether a root is an address, and not a folder of this machine."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", root) is not None


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
            remote = _look(url)
        except FetchError as error:
            if known is None:
                raise
            log.warning("%s; using the copy in %s", error, folder)
            return folder
        if known is not None and remote.fingerprint in ("", known):
            return folder
        changed = "has changed since it was fetched; " if known is not None else ""
        log.warning("%s: %sfetching it into %s", url, changed, folder)
        _fetch(url, remote, folder, limits)
    return folder


def _noted(folder: Path) -> str | None:
    """Return the fingerprint of a copy that is whole, or None."""
    try:
        return str(json.loads((folder / NOTE).read_text("utf-8"))["fingerprint"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _is_file_over_http(url: str) -> bool:
    return urlsplit(url).scheme in ("http", "https") and is_archive(urlsplit(url).path)


def _look(url: str) -> _Remote:
    """Find out what lies at an address, without fetching it."""
    if _is_file_over_http(url):
        return _Remote(version_of(url), {})
    system, root = _system(url)
    over_http = urlsplit(url).scheme in ("http", "https")
    try:
        if is_archive(root):
            return _Remote(_version(system.info(root)), {})
        found = _walk(system, root) if over_http else system.find(root, detail=True)
    except Exception as error:  # each file system has its own kinds
        raise FetchError(f"{url}: cannot be read ({_words(error)})") from None
    files: dict[str, tuple[str, int | None]] = {}
    digest = hashlib.sha256()
    for path, info in sorted(found.items()):
        name = unquote(path[len(root) :].lstrip("/")) if over_http else path[len(root) :].lstrip("/")
        if Path(name).suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in Path(name).parts):
            files[name] = (path, info.get("size"))
            digest.update(f"{name}\0{info.get('size')}\0{_version(info)}\n".encode("utf-8", "surrogateescape"))
    if all(Path(name).suffix.lower() in LISTS for name in files):
        raise FetchError(f"{url}: no images there")
    return _Remote(digest.hexdigest(), files)


def _walk(system: Any, root: str) -> dict[str, dict[str, Any]]:
    """Return the files below a listing of a web server. `find` would leave out what it cannot read, without a word."""
    folders = system.walk(root, on_error="raise", detail=True)
    return {info["name"]: info for _, _, files in folders for info in files.values()}


def _version(info: Mapping[str, Any]) -> str:
    return " ".join(str(info[key]) for key in ("size", *VERSIONS) if info.get(key) is not None)


def _system(url: str) -> tuple[Any, str]:
    """Return fsspec's file system for an address, and the path in it."""
    from fsspec.core import url_to_fs

    protocol = url.partition("://")[0]
    try:
        system, path = url_to_fs(url)
    except ImportError as error:
        package = PACKAGES.get(protocol)
        remedy = f"pip install {package}" if package else _words(error)
        raise ConfigError(f"{url}: reading {protocol}:// takes another package: {remedy}") from None
    except Exception as error:
        raise ConfigError(f"{url}: not an address that can be read ({_words(error)})") from None
    system.invalidate_cache()  # what it remembers of an earlier look may be out of date
    folder_over_http = protocol in ("http", "https") and not is_archive(path)
    return system, path.rstrip("/") + "/" * folder_over_http  # there, links are relative to it


def _fetch(url: str, remote: _Remote, folder: Path, limits: Limits) -> None:
    """Bring the data into `folder`, which is replaced when all is there."""
    version = hashlib.sha256(remote.fingerprint.encode()).hexdigest()[:8]
    fresh = folder.with_name(f"{folder.name}.{version}")  # another version's files are of no use
    for stale in folder.parent.glob(f"{folder.name}.*"):
        if not stale.name.startswith(fresh.name):
            shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
    if remote.files:
        _fetch_files(url, remote, fresh, limits)
    else:
        _fetch_archive(url, fresh, limits)
    with replacing(fresh / NOTE) as path:
        path.write_text(json.dumps({"url": url, "fingerprint": remote.fingerprint}), "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.replace(folder)


def _fetch_archive(url: str, folder: Path, limits: Limits) -> None:
    archive = folder.with_name(f"{folder.name}.archive")
    if _is_file_over_http(url):
        download([url], archive, limit=limits.size)
    else:
        system, path = _system(url)
        try:
            with replacing(archive, durable=False) as partial:
                system.get_file(path, str(partial))
        except Exception as error:
            raise FetchError(f"{url}: cannot be read ({_words(error)})") from None
    shutil.rmtree(folder, ignore_errors=True)
    unpack(archive, folder, limits)
    archive.unlink()


def _fetch_files(url: str, remote: _Remote, folder: Path, limits: Limits) -> None:
    """Fetch the files that an earlier try has not brought."""
    total = sum(size or 0 for _, size in remote.files.values())
    if len(remote.files) > limits.entries or total > limits.size:
        raise FetchError(f"{url}: {len(remote.files)} files, {megabytes(total)}: more than will be fetched")
    system, _ = _system(url)
    files = [(path, folder / safe_path(name), size) for name, (path, size) in remote.files.items()]
    missing = [(path, target, size) for path, target, size in files if size is None or not _has_size(target, size)]
    for start in range(0, len(missing), BATCH):
        batch = missing[start : start + BATCH]
        for _, target, _ in batch:
            target.parent.mkdir(parents=True, exist_ok=True)
        try:
            system.get([path for path, _, _ in batch], [str(target) for _, target, _ in batch])
        except Exception as error:
            raise FetchError(f"{url}: broke off ({_words(error)}); the same command again goes on") from None
        for path, target, size in batch:
            if not target.is_file() or (size is not None and not _has_size(target, size)):
                raise FetchError(f"{url}: {path} did not come whole; the same command again goes on")


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _words(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300].rstrip(": ")
