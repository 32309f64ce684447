"""A run as one page: report.html, a single file that needs no network; written, and served while the run trains."""

from __future__ import annotations

import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from viceversa.engine.run_dir import read_run
from viceversa.files import replacing
from viceversa.report.page import content, render

NAME = "report.html"
SOURCES = ("config.yaml", "log.jsonl", "events.jsonl", "metrics.jsonl", "doctor.jsonl", "samples")


def write(run: Path) -> Path:
    """Write RUN/report.html from what the run's folder holds, and return its path; cheap enough for between two steps.

    Raises FileNotFoundError for a folder that is no run.
    """
    path = run / NAME
    text = render("report.html.j2", **content(read_run(run)))
    with replacing(path, durable=False) as temporary:
        temporary.write_text(text, "utf-8")
    return path


def stale(run: Path) -> bool:
    """Whether the run's folder has changed since its report was written."""
    page = run / NAME
    sources = [run / name for name in SOURCES]
    return not page.is_file() or any(s.exists() and s.stat().st_mtime > page.stat().st_mtime for s in sources)


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
            return write(self.run) if stale(self.run) else self.run / NAME


class ReportHandler(SimpleHTTPRequestHandler):
    """Answers GET and HEAD of / with the page."""

    server: ReportServer

    def translate_path(self, path: str) -> str:
        """Return the file to send; there is only one."""
        return str(self.server.page()) if path == "/" else ""

    def end_headers(self) -> None:
        """Keep browsers from keeping the page."""
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""
