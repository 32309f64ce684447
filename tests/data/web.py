"""A web server on this machine that behaves as badly as it is told."""

from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler


@dataclass
class Resource:
    """A file on the server, and how it is handed out."""

    body: bytes = b""
    status: int = 200
    breaks: int = 0
    """So many times the connection breaks off after half of the body."""
    length: int | None = None
    """What Content-Length claims, if not the truth."""
    to: str | None = None


class Site:
    """Resources by path; `asked` lists the path of every request."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.resources: dict[str, Resource] = {}
        self.asked: list[str] = []

    def put(self, path: str, body: bytes = b"", **how: object) -> str:
        """Serve a resource; return its address."""
        self.resources[path] = Resource(body, **how)
        return f"{self.address}{path}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self) -> None:
        self.site.asked.append(self.path)
        found = self.site.resources.get(self.path, Resource(b"<html>not here</html>", status=404))
        status = 302 if found.to else found.status
        cut = bool(found.breaks)
        found.breaks -= cut
        self.send_response(status)
        self.send_header("Content-Length", str(len(found.body) if found.length is None else found.length))
        if found.to:
            self.send_header("Location", found.to)
        self.end_headers()
        self.wfile.write(found.body[: len(found.body) // 2] if cut else found.body)
        self.close_connection = cut or found.length is not None
