"""A run as one page: report.html, a single file that needs no network, for people who never saw the project."""

from __future__ import annotations

from pathlib import Path

from viceversa.files import replacing
from viceversa.report.content import content
from viceversa.report.facts import read_facts
from viceversa.report.html import render

__all__ = ["NAME", "stale", "write"]

NAME = "report.html"
SOURCES = ("config.yaml", "log.jsonl", "events.jsonl", "metrics.jsonl", "doctor.jsonl", "samples")


def write(run: Path) -> Path:
    """Write RUN/report.html from what the run's folder holds, and return its path; cheap enough for between two steps.

    Raises FileNotFoundError for a folder that is no run.
    """
    path = run / NAME
    text = render("report.html.j2", **content(read_facts(run)))
    with replacing(path, durable=False) as temporary:
        temporary.write_text(text, "utf-8")
    return path


def stale(run: Path) -> bool:
    """Whether the run has something newer to tell than its page."""
    page = run / NAME
    sources = [run / name for name in SOURCES]
    return not page.is_file() or any(s.exists() and s.stat().st_mtime > page.stat().st_mtime for s in sources)
