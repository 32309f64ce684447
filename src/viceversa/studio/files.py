"""Files to and from the browser: what it may ask for besides pages, and what is dropped, chosen, pasted or taken."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Callable
from functools import lru_cache, partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse, Response
from nicegui import run, ui
from nicegui.elements.upload_files import FileUpload
from nicegui.events import UploadEventArguments

from viceversa import report
from viceversa.data.archives import unpack
from viceversa.serve.codecs import Codecs
from viceversa.studio.frame import button, dialog
from viceversa.studio.workspace import OutsideError, Workspace
from viceversa.translate.files import READABLE

if TYPE_CHECKING:
    from viceversa.studio import Studio

LARGEST_SIDE = 2048  # pixels of a small version of a picture
SANDBOX = {"Content-Security-Policy": "sandbox allow-scripts; default-src 'unsafe-inline' data:"}
"""For pages that lie in the workspace: whoever wrote them, they cannot ask the studio for anything."""
LARGEST = 2**30
"""Bytes of a file that is uploaded."""
LONGEST_NAME = 100
LOOKED_AT = 16  # pixels of what is made of an upload to see whether it can be read
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # devices, to Windows


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
            content = thumbnail(path, path.stat().st_mtime_ns, max(16, min(side, LARGEST_SIDE)))
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


def address(workspace: Workspace, path: Path, side: int = 0) -> str:
    """Return the address of a file, or of its picture in at most `side` pixels; another one when it has changed."""
    name, version = quote(workspace.name(path)), f"v={path.stat().st_mtime:.3f}"
    return f"/thumbs/{name}?side={side}&{version}" if side else f"/files/{name}?{version}"


async def download(workspace: Workspace, path: Path) -> None:
    """Let the browser save a file of the workspace, or a folder as a zip."""
    if path.is_dir():
        archive = workspace.fresh("results") / path.name
        path = Path(await run.io_bound(shutil.make_archive, str(archive), "zip", path) or "")
    ui.download.from_url(f"/files/{quote(workspace.name(path))}?download=1")


class Arrivals:
    """Files on their way into a folder; what is no picture, or too much, is deleted and noted in `refused`.

    Each is decoded once, in a process of its own with little memory.
    """

    def __init__(self, folder: Path, codecs: Codecs) -> None:
        self.folder, self.codecs, self.limits = folder, codecs, codecs.limits
        self.files = self.bytes = self.coming = 0
        self.refused: list[str] = []

    async def take(self, file: FileUpload) -> None:
        """Put a file into the folder."""
        path = _free(self.folder / harmless_name(file.name))
        self.files, self.bytes, self.coming = self.files + 1, self.bytes + file.size(), self.coming + 1
        try:
            if self.files > self.limits.files or self.bytes > self.limits.unpacked:
                raise ValueError(f"more than {self.limits.files} files or {self.limits.unpacked} bytes")
            path.touch()
            await file.save(path)
            await asyncio.to_thread(self.look_at, path)
        except (ValueError, OSError) as error:
            self.refuse(path, error)
        finally:
            self.coming -= 1

    def look_at(self, path: Path) -> None:
        """Unpack an archive, and refuse what is no picture; ValueError if it is damaged, too large, or leads out."""
        files = [path]
        if path.suffix.lower() == ".zip":
            unpack(path, path.with_suffix(""), self.limits.unpacked, self.limits.files)
            path.unlink()
            files = [file for file in path.with_suffix("").rglob("*") if file.is_file()]
        for file in files:
            try:
                if file.suffix.lower() not in READABLE:
                    raise ValueError("not a picture, a video or a zip, by its name")
                self.codecs.thumbnail(file, LOOKED_AT)
            except ValueError as error:
                self.refuse(file, error)

    def refuse(self, path: Path, error: Exception) -> None:
        """Delete a file, and note why."""
        path.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or str(error).removeprefix(f"{path}: ")
        self.refused.append(f"{path.relative_to(self.folder).as_posix()}: {reason}")


class DropZone:
    """Takes pictures, videos and zips; `changed` is told of their folder when all are there."""

    def __init__(self, studio: Studio, what: str, changed: Callable[[Path], object]) -> None:
        self.studio, self.what, self.changed = studio, what, changed
        self.arrivals: Arrivals | None = None
        with ui.element("div").classes("drop-zone"):
            self.upload = ui.upload(
                label=what, multiple=True, auto_upload=True, max_file_size=LARGEST, on_upload=self._take
            )
            with ui.element("div").classes("bar sources"):
                files, folder = (button(name, lambda: None, "quiet") for name in ("Files", "Folder"))
                button("Camera", self._camera, "quiet")
        self.upload.props(f'flat accept="{",".join(sorted(READABLE))},.zip"').classes("drop")
        self.upload.on("finish", self._done, args=[])
        self.upload.on_rejected(lambda: ui.notify("Not a picture, a video or a zip, or larger than 1 GB"))
        files.on("click", js_handler=f"() => getElement({self.upload.id}).$refs.qRef.pickFiles()")
        folder.on("click", js_handler=f"() => chooseFolder({self.upload.id})")

    async def _take(self, event: UploadEventArguments) -> None:
        if self.arrivals is None:
            self.arrivals = Arrivals(self.studio.workspace.fresh("uploads"), self.studio.codecs)
        await self.arrivals.take(event.file)

    async def _done(self) -> None:
        arrivals, self.arrivals = self.arrivals, None
        if arrivals is None:
            return
        while arrivals.coming:
            self.upload.props["label"] = f"Looking at {arrivals.coming:,} of {arrivals.files:,} files …"
            await asyncio.sleep(0.2)
        self.upload.props["label"] = self.what
        self.upload.reset()
        if refused := arrivals.refused:
            more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
            ui.notify(f"Left out: {refused[0]}{more}", type="warning", multi_line=True, timeout=8000)
        if any(arrivals.folder.iterdir()):
            self.changed(arrivals.folder)

    def _camera(self) -> None:
        with dialog("Take a picture") as opened:
            video = ui.element("video").props("autoplay muted playsinline").classes("camera")
            with ui.element("div").classes("bar"):
                take = button("Take it", opened.close, "main")
                button("Cancel", opened.close, "quiet")
        take.on("click", js_handler=f"() => takePicture({video.id}, {self.upload.id})")
        opened.on("show", js_handler=f"() => openCamera({video.id})")
        opened.on("hide", js_handler=f"() => closeCamera({video.id})")
        opened.open()


def _free(path: Path) -> Path:
    """Return the path, or one beside it that nothing has."""
    others = (path.with_stem(f"{path.stem}-{number}") for number in count(2))
    return path if not path.exists() else next(other for other in others if not other.exists())


def harmless_name(name: str) -> str:
    """Return a name for a file that somebody uploaded: visible, in no folder, no option of a program."""
    last = re.split(r"[/\\]", name)[-1]
    kept = re.sub(r"[^\w.() -]+", "_", last).strip(" .-") or "picture"
    stem, dot, suffix = kept.rpartition(".")
    if not dot or len(suffix) > 10:
        stem, suffix = kept, ""
    stem = stem[: LONGEST_NAME - len(suffix)]
    return f"{'_' if RESERVED.fullmatch(kept) else ''}{stem}{dot and suffix and f'.{suffix}'}"
