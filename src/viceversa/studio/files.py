"""What the browser may ask for besides pages: files of the workspace, small versions of its pictures, reports."""

from __future__ import annotations

import io
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse, Response

from viceversa.serve.codecs import Codecs
from viceversa.studio.workspace import OutsideError

if TYPE_CHECKING:
    from viceversa.studio import Studio

LARGEST = 2048  # pixels of a side
SANDBOX = {"Content-Security-Policy": "sandbox allow-scripts; default-src 'unsafe-inline' data:"}
"""For pages that lie in the workspace: whoever wrote them, they cannot ask the studio for anything."""


def add_routes(app: FastAPI, studio: Studio) -> None:
    """Let the app answer for files."""
    workspace, hidden = studio.workspace, partial(app.get, include_in_schema=False)

    def served(name: str) -> Path:
        try:
            return workspace.served(name)
        except OutsideError:
            raise HTTPException(404) from None

    @hidden("/files/{name:path}")
    def file(name: str, download: bool = False) -> FileResponse:
        path = served(name)
        headers = SANDBOX if path.suffix == ".html" else {"Cache-Control": "no-cache"}
        return FileResponse(path, headers=headers, filename=path.name if download else None)

    @hidden("/thumbs/{name:path}")
    def thumb(name: str, side: int = 256) -> Response:
        path = served(name)
        try:
            content = small(studio.offer.codecs, path, path.stat().st_mtime_ns, max(16, min(side, LARGEST)))
        except (ValueError, OSError):  # no picture, or a broken one
            raise HTTPException(404) from None
        return Response(content, media_type="image/webp", headers={"Cache-Control": "private, max-age=86400"})

    @hidden("/report/{name:path}")
    def report(name: str) -> FileResponse:
        from viceversa import report

        try:
            run = workspace.readable(name)
            if report.stale(run):
                report.write(run)
        except (OSError, ValueError):
            raise HTTPException(404) from None
        return file(workspace.name(run / report.NAME))


@lru_cache(maxsize=512)
def small(codecs: Codecs, path: Path, _changed: int, side: int) -> bytes:
    """Return a picture as WebP, shrunk to `side` pixels if it is larger; ImageError if it is none."""
    from PIL import Image

    from viceversa.data.image_data import to_pil

    image = to_pil(codecs.decode_file(path).image)
    image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "WEBP", quality=88, method=2)
    return file.getvalue()
