"""`viceversa data get`: a known data set, from one of its mirrors or from Kaggle, into a folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from viceversa.config import parse_yaml
from viceversa.data.archives import Progress, megabytes, unpack
from viceversa.files import locked, replacing_folder

CHUNK = 1 << 18
TIMEOUT = 30.0  # seconds without a byte
HEADERS = {"User-Agent": "viceversa", "Accept-Encoding": "identity"}
TRIES = 2  # of each mirror: some break off once


class FetchError(ValueError):
    """Data that cannot be had; the message is one line that says from where, and what is wrong."""


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
    kaggle: str | None = None
    """OWNER/NAME of a data set at Kaggle, which its own package downloads."""
    train: str | None = None
    """What to type after `viceversa train`, but for data.root; None if the images are not ready to train on."""
    note: str = ""
    """What else to know; for a set that cannot be downloaded, what to do."""


def catalogue() -> dict[str, KnownSet]:
    """Return the data sets that are known, by name."""
    table = Path(__file__).with_name("catalogue.yaml")
    return {name: KnownSet(**values) for name, values in parse_yaml(table.read_text("utf-8"), str(table)).items()}


def known(name: str) -> KnownSet:
    """Return a set of the catalogue, or raise FetchError with the nearest name."""
    sets = catalogue()
    if name in sets:
        return sets[name]
    close = get_close_matches(name, sets, n=1)
    hint = f"did you mean {close[0]}?" if close else "viceversa data get lists those that are known"
    raise FetchError(f"{name}: no such data set; {hint}")


def get_set(
    wanted: KnownSet,
    out: Path,
    *,
    keep: bool = False,
    downloading: Progress = lambda *_: None,
    unpacking: Progress = lambda *_: None,
) -> Path:
    """Download a data set into `out`, which appears when all is there; return the folder to use as `data.root`.

    The archive lies beside it until it is unpacked, or for good with `keep`. Raises FetchError if it cannot be had,
    ArchiveError if it cannot be unpacked, FileExistsError if there is something at `out`.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out}: there already; name another folder, or remove it to download it again")
    if not wanted.mirrors and not wanted.kaggle:
        raise FetchError(f"{wanted.title}: cannot be downloaded: {wanted.note}")
    with locked(out):
        if wanted.kaggle:
            _from_kaggle(wanted.kaggle, out)
        else:
            archive = out.with_name(out.name + (".tar.gz" if wanted.mirrors[0].endswith(".tar.gz") else ".zip"))
            limit = wanted.megabytes * 1_500_000  # bytes: half as much again, since sizes are rounded
            download(wanted.mirrors, archive, checksum=wanted.checksum, limit=limit, progress=downloading)
            unpack(archive, out, progress=unpacking)
            if not keep:
                archive.unlink()
    return _root(out)


def download(
    mirrors: Sequence[str],
    target: Path,
    *,
    checksum: str | None = None,
    limit: int = 20 * 10**9,
    progress: Progress = lambda *_: None,
) -> None:
    """Download a file to `target`, which appears whole; do nothing if it is there and right by its checksum.

    `checksum` is "md5:..." or "sha256:..."; without one, whatever lies at `target` is replaced. More than `limit` bytes
    are refused. Raises FetchError, which names each mirror and what is wrong there.
    """
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")  # it would tell of every file
    if checksum is None:
        target.unlink(missing_ok=True)
    hooks = {} if checksum else {"response": _refuse_unencrypted}
    reasons: dict[str, str] = {}
    for url in mirrors:
        for _ in range(TRIES):
            meter: Any = _Meter(limit, progress)
            fetch = pooch.HTTPDownloader(meter, CHUNK, timeout=TIMEOUT, headers=HEADERS, hooks=hooks)
            try:
                pooch.retrieve(url, checksum, target.name, target.parent, downloader=fetch)
                return
            except (requests.RequestException, ValueError) as error:
                reasons[url] = _reason(error)
                if isinstance(error, (ValueError, requests.HTTPError)):
                    break  # another try would bring the same
    raise FetchError("; ".join(f"{url}: {reason}" for url, reason in reasons.items()))


def version_of(url: str) -> str:
    """Return what tells one version of the file at `url` from another, "" if the server does not say.

    Raises FetchError if the server cannot be reached, or has no such file.
    """
    import requests

    try:
        answer = requests.head(url, timeout=TIMEOUT, allow_redirects=True, headers=HEADERS)
        if answer.status_code in (404, 410):
            answer.raise_for_status()
    except requests.RequestException as error:
        raise FetchError(f"{url}: {_reason(error)}") from None
    if not answer.ok:  # some servers answer no HEAD
        return ""
    names = ("ETag", "Last-Modified", "Content-Length")
    return " ".join(answer.headers[name] for name in names if name in answer.headers)


class _Meter:
    """The progress bar that pooch asks for: passes on what has come, and stops at the limit."""

    def __init__(self, limit: int, progress: Progress) -> None:
        self.limit, self.progress = limit, progress
        self.total = self.done = 0

    def update(self, count: int) -> None:
        self.done += count
        if max(self.total, self.done - CHUNK) > self.limit:  # the last chunk is counted as if it were full
            raise FetchError(f"larger than the limit of {megabytes(self.limit)}")
        self.progress(min(self.done, self.total) if self.total else self.done, self.total or None)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        """Nothing is open."""


def _refuse_unencrypted(response: Any, **_: Any) -> None:
    """Refuse to be led from an encrypted address to another: only a checksum would tell what comes from there."""
    target = response.headers.get("Location", "")
    if response.url.startswith("https:") and target.startswith("http:"):
        raise FetchError(f"leads to an address without encryption ({target})")


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"answers {error.response.status_code} {error.response.reason}".rstrip()
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "broke off"
    if isinstance(error, requests.RequestException):
        return f"cannot be reached ({one_line(error).rpartition(': ')[2].strip(chr(39) + ')>')})"
    return "not the file it should be (its checksum differs)" if "hash" in str(error) else one_line(error)


def one_line(error: Exception) -> str:
    """Return what an error says, in one line of some length."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def _from_kaggle(handle: str, out: Path) -> None:
    """Download a data set of Kaggle with its own package, which keeps what it has for the next try."""
    try:
        import kagglehub
    except ImportError:
        raise FetchError(f'{handle} lies at Kaggle: pip install "viceversa[kaggle]"') from None
    try:
        found = Path(kagglehub.dataset_download(handle))
    except Exception as error:  # its own kinds, those of requests, of the archive, of the file system
        raise FetchError(f"https://www.kaggle.com/datasets/{handle}: {one_line(error)}") from None
    if any(path.is_symlink() for path in found.rglob("*")):
        raise FetchError(f"https://www.kaggle.com/datasets/{handle}: holds a link; not copied from {found}")
    with replacing_folder(out) as partial:
        shutil.copytree(found, partial, dirs_exist_ok=True)


def _root(folder: Path) -> Path:
    """Return the one folder that holds trainA, however deep it lies, or `folder` itself."""
    roots = {path.parent for path in folder.rglob("trainA") if path.is_dir()}
    return roots.pop() if len(roots) == 1 else folder
