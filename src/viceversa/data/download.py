"""`viceversa data get`: a known data set, from one of its mirrors, into a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias

from viceversa.config import parse_yaml
from viceversa.data.archives import unpack
from viceversa.files import locked

TIMEOUT = 30.0  # seconds without a byte
CHUNK = 1 << 18

Progress: TypeAlias = Callable[[int, "int | None"], None]
"""Called with the bytes done and the bytes to do (None: not known)."""


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
    train: str = ""
    """What to type after `viceversa train`, but for data.root."""
    note: str = ""
    """For a set that cannot be downloaded, what to do."""


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


def get_set(wanted: KnownSet, out: Path, progress: Progress = lambda *_: None) -> None:
    """Download a data set into `out`, which appears when all is there.

    The archive lies beside it until it is unpacked. Raises FetchError if it cannot be had, ArchiveError if it cannot be
    unpacked, FileExistsError if there is something at `out`.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out}: there already; name another folder, or remove it to download it again")
    if not wanted.mirrors:
        raise FetchError(f"{wanted.title}: cannot be downloaded: {wanted.note}")
    with locked(out):
        archive = out.with_name(f"{out.name}.archive")
        download(wanted.mirrors, archive, wanted.checksum, progress)
        unpack(archive, out)
        archive.unlink()


def download(
    mirrors: Sequence[str], target: Path, checksum: str | None = None, progress: Progress = lambda *_: None
) -> None:
    """Download a file to `target`, which appears whole; do nothing if it is there and right by its checksum.

    `checksum` is "md5:..." or "sha256:..."; without one, whatever lies at `target` is replaced. Raises FetchError,
    which names each mirror and what is wrong there.
    """
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")  # it would tell of every file
    if checksum is None:
        target.unlink(missing_ok=True)
    meter: Any = _Meter(progress)
    fetch = pooch.HTTPDownloader(meter, CHUNK, timeout=TIMEOUT, headers={"User-Agent": "viceversa"})
    reasons = []
    for url in mirrors:
        try:
            pooch.retrieve(url, checksum, target.name, target.parent, downloader=fetch)
            return
        except (requests.RequestException, ValueError) as error:
            differs = isinstance(error, ValueError) and "hash" in str(error)
            reasons.append(f"{url}: {'not the file it should be: another checksum' if differs else one_line(error)}")
    raise FetchError("; ".join(reasons))


class _Meter:
    """The progress bar that pooch asks for."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.total, self.done = progress, 0, 0

    def update(self, count: int) -> None:
        self.done += count
        self.progress(min(self.done, self.total) if self.total else self.done, self.total or None)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        """Nothing is open."""


def one_line(error: Exception) -> str:
    """Return what an error says, in one line of some length."""
    return " ".join(str(error).split())[:300] or type(error).__name__
