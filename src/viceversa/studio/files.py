"""What the browser may ask for besides pages: files of the workspace, small versions of its pictures, reports."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse, Response

from viceversa import report
from viceversa.serve.codecs import Codecs
from viceversa.studio.workspace import OutsideError, Workspace

LARGEST = 2048  # pixels of a side
SANDBOX = {"Content-Security-Policy": "sandbox allow-scripts; default-src 'unsafe-inline' data:"}
"""For pages that lie in the workspace: whoever wrote them, they cannot ask the studio for anything."""


def add_routes(app: FastAPI, workspace: Workspace, codecs: Codecs) -> None:
    """Let the app answer for files."""
    hidden = partial(app.get, include_in_schema=False)

    def served(name: str) -> Path:
        try:
            return workspace.served(name)
        except OutsideError:
            raise HTTPException(404) from None

    @lru_cache(maxsize=512)
    def thumbnail(path: Path, _changed: int, side: int) -> bytes:
        return codecs.thumbnail(path, side)

    @hidden("/files/{name:path}")
    def file(name: str, download: bool = False) -> FileResponse:
        path = served(name)
        headers = SANDBOX if path.suffix == ".html" else {"Cache-Control": "no-cache"}
        return FileResponse(path, headers=headers, filename=path.name if download else None)

    @hidden("/thumbs/{name:path}")
    def thumb(name: str, side: int = 256) -> Response:
        path = served(name)
        try:
            content = thumbnail(path, path.stat().st_mtime_ns, max(16, min(side, LARGEST)))
        except (ValueError, OSError):  # no picture, or a broken one
            raise HTTPException(404) from None
        return Response(content, media_type="image/webp", headers={"Cache-Control": "private, max-age=86400"})

    @hidden("/report/{name:path}")
    def page(name: str) -> FileResponse:
        try:
            run = workspace.readable(name)
            if report.stale(run):
                report.write(run)
        except (OSError, ValueError):
            raise HTTPException(404) from None
        return file(workspace.name(run / report.NAME))
