"""One HTTP request for a file, or for what is missing of it.

The standard library does the talking, as in `torch.hub`: pooch and fsspec, which could do it, cannot continue a
download, and gigabytes are seldom had in one go.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from socket import gaierror
from typing import Any, TypeAlias
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

Progress: TypeAlias = Callable[[int, "int | None"], None]
"""Called with what is there and what will be there (None: not known), in bytes."""

CHUNK = 1 << 18
TIMEOUT = 30.0  # seconds without a byte
BUSY = (408, 425, 429, 500, 502, 503, 504)  # worth another try
HEADERS = {"User-Agent": "viceversa", "Accept-Encoding": "identity"}


class Broken(Exception):
    """This try failed; another may do."""


class Refused(Exception):
    """This address will not do; another may."""


@dataclass(frozen=True)
class Part:
    """What has come so far of a file: `path`.part, and where it is from: `path`.part.json."""

    path: Path

    @property
    def bytes(self) -> Path:
        """Where they lie."""
        return self.path.with_name(f"{self.path.name}.part")

    @property
    def note(self) -> Path:
        """Where it is written what they are of."""
        return self.path.with_name(f"{self.path.name}.part.json")

    def size(self) -> int:
        """Return how many bytes have come."""
        return self.bytes.stat().st_size if self.bytes.exists() else 0

    def version(self, url: str) -> str:
        """Return which version of the file at `url` the bytes are of, or "" if that is not known."""
        try:
            noted: Any = json.loads(self.note.read_text("utf-8"))
            return str(noted["version"]) if noted["url"] == url else ""
        except (OSError, ValueError, TypeError, KeyError):
            return ""

    def drop(self) -> None:
        """Forget them."""
        self.bytes.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def finish(self) -> None:
        """Give the file its name."""
        with self.bytes.open("rb+") as file:
            os.fsync(file.fileno())
        self.bytes.replace(self.path)
        self.note.unlink(missing_ok=True)


def transfer(url: str, part: Part, *, checked: bool, limit: int, progress: Progress) -> None:
    """Fetch what is missing of a file, in one request.

    Parts are only joined if they are of one version of the file, or if a checksum will tell afterwards (`checked`).
    Raises Broken if another try may do, Refused if none will.
    """
    have, version = part.size(), part.version(url)
    headers = dict(HEADERS)
    if have and (version or checked):
        headers |= {"Range": f"bytes={have}-"} | ({"If-Range": version} if version else {})
    try:
        with urlopen(Request(url, headers=headers), timeout=TIMEOUT) as response:
            _inspect(response, url, part, checked)
            _receive(response, url, part, limit, progress)
    except HTTPError as error:
        if error.code == 416 and error.headers.get("Content-Range") == f"bytes */{have}":
            return  # there is no more: we have all of it
        if error.code == 416:
            part.drop()
            raise Broken("has changed") from None
        raise (Broken if error.code in BUSY else Refused)(f"answers {error.code} {error.reason}".rstrip()) from None
    except URLError as error:
        hopeless = isinstance(error.reason, (gaierror, ConnectionRefusedError))  # no network, no such host, no server
        raise (Refused if hopeless else Broken)(f"cannot be reached ({_words(error.reason)})") from None
    except (HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
        raise Broken(f"broke off ({_words(error)})") from None
    except ValueError as error:  # not an address at all
        raise Refused(_words(error)) from None


def _inspect(response: HTTPResponse, url: str, part: Part, checked: bool) -> None:
    """Raise Refused if the answer is not the one that was asked for."""
    if response.status == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {part.size()}-"):
        raise Refused("sends another part than the one asked for")
    if response.status not in (200, 206):
        raise Refused(f"answers {response.status}")
    if url.startswith("https:") and not response.url.startswith("https:") and not checked:
        raise Refused(f"leads to an address without encryption ({response.url})")


def _receive(response: HTTPResponse, url: str, part: Part, limit: int, progress: Progress) -> None:
    have = part.size() if response.status == 206 else 0
    length = response.headers.get("Content-Length", "")
    total = have + int(length) if length.isdecimal() else None
    if (total or 0) > limit:
        raise Refused(f"{megabytes(total or 0)}, larger than the limit of {megabytes(limit)}")
    part.note.write_text(json.dumps({"url": url, "version": _version(response)}), "utf-8")
    with part.bytes.open("ab" if have else "wb") as file:
        while chunk := response.read(CHUNK):
            if not have and chunk.lstrip()[:1] == b"<":
                raise Refused("a web page, not the file")
            have += len(chunk)
            if have > limit:
                raise Refused(f"larger than the limit of {megabytes(limit)}")
            file.write(chunk)
            progress(have, total)
    if total is not None and have < total:
        raise Broken(f"broke off ({have} of {total} bytes)")


def _version(response: HTTPResponse) -> str:
    tag = response.headers.get("ETag", "")
    strong = tag and not tag.startswith("W/")  # a weak one may stand for different bytes
    return str(tag if strong else response.headers.get("Last-Modified", ""))


def version_of(url: str) -> str:
    """Return what tells one version of the file at `url` from another, "" if the server does not say.

    Raises Broken if the server cannot be reached, Refused if it has no such file.
    """
    try:
        with urlopen(Request(url, headers=HEADERS, method="HEAD"), timeout=TIMEOUT) as response:
            return " ".join(filter(None, [_version(response), response.headers.get("Content-Length", "")]))
    except HTTPError as error:
        if error.code in (404, 410):
            raise Refused(f"answers {error.code} {error.reason}".rstrip()) from None
        return ""  # some servers answer no HEAD
    except (HTTPException, ValueError, OSError) as error:
        raise Broken(f"cannot be reached ({_words(getattr(error, 'reason', error))})") from None


def megabytes(size: int) -> str:
    """Say a size as people do."""
    return f"{size / 1e9:.1f} GB" if size >= 10**9 else f"{max(size / 1e6, 0.1):.3g} MB"


def _words(error: object) -> str:
    return " ".join(str(error).split()) or type(error).__name__
