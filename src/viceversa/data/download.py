"""Data sets elsewhere: known ones by name (`viceversa data get`), others by address (`data.root=hf://...`).

Archives come over HTTP, by pooch; folders through fsspec, each kind by its own package.
"""

from __future__ import annotations

import hashlib
import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from viceversa.config import ConfigError, parse_yaml, suggest
from viceversa.data.archives import safe_path, unpack
from viceversa.files import cache_folder, locked, replacing_folder
from viceversa.paths import EXTENSIONS, is_hidden

TIMEOUT = 30.0  # seconds without a byte
CHUNK = 1 << 18
SUFFIXES = EXTENSIONS | {".csv", ".parquet"}  # what a layout may be made of

log = logging.getLogger("viceversa")


@dataclass(frozen=True)
class KnownSet:
    """A data set by name, from the table catalogue.yaml."""

    title: str
    """What is in domains A and B."""
    megabytes: int = 0
    """To download, about; 0 if that is not known."""
    mirrors: tuple[str, ...] = ()
    """Addresses of one archive, the best first."""
    checksum: str | None = None
    """Of the archive: "sha256:..." or "md5:..."."""
    train: str = ""
    """What to type after `viceversa train`, but for data.root."""
    note: str = ""
    """For a set that cannot be downloaded, what to do."""


def catalogue() -> dict[str, KnownSet]:
    """Return the data sets that are known, by name."""
    table = Path(__file__).with_name("catalogue.yaml")
    return {name: KnownSet(**values) for name, values in parse_yaml(table.read_text("utf-8"), str(table)).items()}


def known(name: str) -> KnownSet:
    """Return a set of the catalogue, or raise ValueError with the nearest name."""
    sets = catalogue()
    if name not in sets:
        raise ValueError(f"{name}: no such data set{suggest(name, sets)}")
    return sets[name]


def get_set(wanted: KnownSet, out: Path) -> None:
    """Download a data set into `out`, which appears when all is there; FileExistsError if it is not empty."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out}: there already; name another folder, or remove it to download it again")
    if not wanted.mirrors:
        raise ValueError(f"{wanted.title}: cannot be downloaded: {wanted.note}")
    with locked(out):
        _fetch_archive(wanted.mirrors, out, wanted.checksum)


def local_folder(url: str) -> Path:
    """Return the local copy of a data set elsewhere; fetch it if there is none, or raise ValueError with the reason.

    Processes that start together wait for the one that fetches. A copy stays as it is until its folder is deleted.
    """
    name = re.sub(r"[^\w.-]+", "-", urlsplit(url).path.strip("/").rpartition("/")[2]) or "data"
    folder = cache_folder() / "data" / f"{name}-{hashlib.sha256(url.encode()).hexdigest()[:12]}"
    with locked(folder):
        if not folder.is_dir():
            cache_folder(store=True)
            log.warning("%s: fetching it into %s, where it stays until you delete it", url, folder)
            if urlsplit(url).scheme in ("http", "https"):
                _fetch_archive([url], folder)
            else:
                _fetch_files(url, folder)
    return folder


def _fetch_archive(mirrors: Sequence[str], folder: Path, checksum: str | None = None) -> None:
    """Download an archive, which lies beside the folder until it is unpacked."""
    archive = folder.with_name(f"{folder.name}.archive")
    download(mirrors, archive, checksum)
    unpack(archive, folder)
    archive.unlink()


def download(mirrors: Sequence[str], target: Path, checksum: str | None = None) -> None:
    """Download a file to `target`, which appears whole; do nothing if it is there and right by its checksum.

    `checksum` is "md5:..." or "sha256:...". Raises ValueError, which names each mirror and what is wrong there.
    """
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")  # it would tell of every file
    if checksum is None:
        target.unlink(missing_ok=True)
    headers = {"User-Agent": "viceversa"}
    fetch = pooch.HTTPDownloader(sys.stderr.isatty(), CHUNK, timeout=TIMEOUT, headers=headers)
    reasons = []
    for url in mirrors:
        try:
            pooch.retrieve(url, checksum, target.name, target.parent, downloader=fetch)
            return
        except (requests.RequestException, ValueError) as error:
            differs = isinstance(error, ValueError) and "hash" in str(error)
            reasons.append(f"{url}: {'not the file it should be: another checksum' if differs else _one_line(error)}")
    raise ValueError("; ".join(reasons))


def _fetch_files(url: str, folder: Path) -> None:
    """Fetch a folder's images and lists, all or none."""
    from fsspec.core import url_to_fs

    try:
        system, root = url_to_fs(url)
    except ImportError as error:
        raise ConfigError(f"{url}: takes another package: {_one_line(error)}") from None
    except Exception as error:  # each file system has its own kinds
        raise ConfigError(f"{url}: not an address that can be read ({_one_line(error)})") from None
    with replacing_folder(folder) as half:
        try:
            system.invalidate_cache()  # what it remembers of an earlier look may be out of date
            names = {path: safe_path(path[len(root.rstrip("/")) :].lstrip("/")) for path in system.find(root)}
            seen = {path: name for path, name in names.items() if not any(map(is_hidden, name.parts))}
            wanted = {path: str(half / name) for path, name in seen.items() if name.suffix.lower() in SUFFIXES}
            system.get([*wanted], [*wanted.values()])
        except Exception as error:
            raise ValueError(f"{url}: cannot be read ({type(error).__name__}: {_one_line(error)})") from None
        if not wanted:
            raise ValueError(f"{url}: no images there")


def _one_line(error: Exception) -> str:
    """Return what an error says, in one line of some length."""
    return " ".join(str(error).split())[:300] or type(error).__name__
