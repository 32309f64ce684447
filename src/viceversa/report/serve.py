"""The report of a running training, served to this machine's browser, which looks for changes by itself."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from viceversa import report


class ReportServer(ThreadingHTTPServer):
    """Serves one run's page at / to localhost and nothing else; writes it anew when the run's folder has changed.

    Port 0 takes any free one. Raises OSError if the port is taken.
    """

    daemon_threads = True

    def __init__(self, run: Path, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), ReportHandler)
        self.run, self.writing = run, threading.Lock()

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.server_port}/"

    def page(self) -> Path:
        """Return the page, up to date."""
        with self.writing:
            return report.write(self.run) if report.stale(self.run) else self.run / report.NAME


class ReportHandler(BaseHTTPRequestHandler):
    """Answers GET and HEAD of / with the page."""

    server: ReportServer

    def do_GET(self) -> None:
        """Send the page."""
        body = self._head()
        if body is not None:
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        """Send the headers; the ETag changes when the page does."""
        self._head()

    def _head(self) -> bytes | None:
        if self.path != "/":
            self.send_error(404)
            return None
        path = self.server.page()
        body = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{path.stat().st_mtime_ns}"')
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        return body

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""
