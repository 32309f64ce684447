"""One file over HTTP: mirrors in turn, continued where it broke off, checked, in place at once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from viceversa.data.fetch.transfer import CHUNK, Broken, Part, Progress, Refused, transfer


class FetchError(ValueError):
    """Data that cannot be had; the message is one line that says from where, and what is wrong."""


@dataclass(frozen=True)
class Wanted:
    """A file to download."""

    mirrors: Sequence[str]
    """Addresses of the same file, the best first."""
    checksum: str | None = None
    """SHA-256 or MD5 in hexadecimal digits, if one is known; the length tells which."""
    limit: int = 20 * 10**9
    """More bytes than this are refused."""


def silent(_done: int, _total: int | None) -> None:
    """Report no progress."""


def download(wanted: Wanted, target: Path, *, progress: Progress = silent, tries: int = 5, pause: float = 1.0) -> None:
    """Download a file to `target`; do nothing if it is there and right by its checksum.

    Until it is whole it lies beside it as `target`.part, and the next call continues it. A mirror is given up after
    `tries` tries in a row without progress, with `pause`, 2 `pause`, 4 `pause`, ... seconds between them.
    Raises FetchError if no mirror has it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if wanted.checksum and target.exists() and _is_right(target, wanted.checksum):
        return
    reasons = []
    for url in wanted.mirrors:
        try:
            _from_mirror(url, wanted, Part(target), progress, tries, pause)
        except Refused as reason:
            reasons.append(f"{url}: {reason}")
        else:
            return
    raise FetchError("; ".join(reasons) or f"{target.name}: no address to download it from")


def _from_mirror(url: str, wanted: Wanted, part: Part, progress: Progress, tries: int, pause: float) -> None:
    """Download from one mirror; raise Refused if that cannot be."""
    failed = 0
    while True:
        before = part.size()
        try:
            transfer(url, part, checked=wanted.checksum is not None, limit=wanted.limit, progress=progress)
        except Broken as reason:
            failed = 1 if part.size() >= before + CHUNK else failed + 1  # a trickle is no progress
            if failed >= tries:
                raise Refused(f"{reason}, after {tries} tries") from None
            time.sleep(pause * 2 ** (failed - 1))
            continue
        if wanted.checksum is None or _is_right(part.bytes, wanted.checksum):
            return part.finish()
        part.drop()
        if not before:  # all of it came from here, so this mirror has another file
            raise Refused("not the file it should be (its checksum differs)")


def _is_right(path: Path, checksum: str) -> bool:
    digest = hashlib.new({64: "sha256", 32: "md5"}[len(checksum)])
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest() == checksum
