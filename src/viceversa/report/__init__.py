"""A run as one page: report.html, a single file that needs no network."""

from __future__ import annotations

from pathlib import Path

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
