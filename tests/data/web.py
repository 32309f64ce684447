"""A web server on this machine that behaves as badly as it is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Resource:
    """A file on the server, and how it is handed out."""

    body: bytes = b""
    tag: str = '"1"'
    status: int = 200
    breaks: list[int] = field(default_factory=list)
    """Bytes after which the connection breaks off, for the first answers, one after the other."""
    ranges: bool = True
    length: int | None = None
    """What Content-Length claims, if not the truth."""
    kind: str = "application/octet-stream"
    to: str | None = None
    shift: int = 0
    """Bytes by which a partial answer begins too late."""


class Site:
    """Resources by path; `asked` lists method, path and Range of every request."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.resources: dict[str, Resource] = {}
        self.asked: list[tuple[str, str, str | None]] = []

    def put(self, path: str, body: bytes = b"", **how: object) -> str:
        """Serve a resource; return its address."""
        self.resources[path] = Resource(body, **how)  # type: ignore[arg-type]
        return f"{self.address}{path}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self) -> None:
        self.answer(True)

    def do_HEAD(self) -> None:
        self.answer(False)

    def answer(self, with_body: bool) -> None:
        asked = self.headers.get("Range")
        self.site.asked.append((self.command, self.path, asked))
        found = self.site.resources.get(self.path)
        if found is None:
            self.send(404, b"<html>not here</html>", {"Content-Type": "text/html"}, with_body)
        elif found.to:
            self.send(302, b"", {"Location": found.to}, with_body)
        else:
            self.hand_out(found, asked, with_body)

    def hand_out(self, found: Resource, asked: str | None, with_body: bool) -> None:
        status, body = found.status, found.body
        headers = {"Content-Type": found.kind} | ({"ETag": found.tag} if found.tag else {})
        if status == 200 and asked and found.ranges and self.headers.get("If-Range", found.tag) == found.tag:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            status, body = (206, body[start + found.shift :]) if start < len(body) else (416, b"")
            span = f"{start + found.shift}-{len(found.body) - 1}" if body else "*"
            headers["Content-Range"] = f"bytes {span}/{len(found.body)}"
        if found.length is not None:
            headers["Content-Length"] = str(found.length)
        cut = found.breaks.pop(0) if found.breaks and with_body else None
        self.send(status, body, headers, with_body, cut)

    def send(self, status: int, body: bytes, headers: dict[str, str], with_body: bool, cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body[:cut])
        if cut is not None or "Content-Length" in headers:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def site() -> Iterator[Site]:
    """Run a server while the block runs."""
    handler = type("Handler", (Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.site = Site(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield handler.site
    server.shutdown()
    thread.join()
    server.server_close()
