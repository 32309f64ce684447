"""Files that come from the browser: dropped, chosen, pasted or taken with a camera, into a folder of the workspace."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from nicegui import ui
from nicegui.elements.upload_files import FileUpload
from nicegui.events import UploadEventArguments

from viceversa.data.archives import ArchiveError, unpack
from viceversa.data.image_data import ImageError
from viceversa.serve.codecs import Codecs
from viceversa.studio.frame import button, dialog
from viceversa.translate.files import READABLE

if TYPE_CHECKING:
    from viceversa.studio import Studio

LARGEST = 2**30
"""Bytes of a file that is uploaded."""
LONGEST_NAME = 100
LOOKED_AT = 16  # pixels of what is made of an upload to see whether it can be read
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # devices, to Windows


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
            path.unlink(missing_ok=True)
            self.refused.append(f"{path.name}: {getattr(error, 'strerror', None) or error}")
        finally:
            self.coming -= 1

    def look_at(self, path: Path) -> None:
        """Unpack an archive, and refuse what is no picture."""
        if path.suffix.lower() == ".zip":
            self.unpack(path, path.with_suffix(""))
        elif path.suffix.lower() in READABLE:
            self.codecs.thumbnail(path, LOOKED_AT)
        else:
            raise ValueError("not a picture, a video or a zip, by its name")

    def unpack(self, archive: Path, folder: Path) -> None:
        """Put the pictures of an archive into a folder; ValueError if it is damaged, too large, or leads out of it."""
        try:
            unpack(archive, folder, self.limits.unpacked, self.limits.files)
        except ArchiveError as error:
            raise ValueError(str(error).removeprefix(f"{archive}: ")) from None
        archive.unlink()
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            try:
                self.codecs.thumbnail(path, LOOKED_AT)
            except ImageError as error:
                self.refused.append(f"{path.relative_to(folder).as_posix()}: {error}")
                path.unlink()


class DropZone:
    """Takes pictures, videos and zips; `changed` is told of their folder when all are there."""

    def __init__(self, studio: Studio, what: str, changed: Callable[[Path], object]) -> None:
        self.studio, self.what, self.changed = studio, what, changed
        self.arrivals: Arrivals | None = None
        self.upload = ui.upload(
            label=what, multiple=True, auto_upload=True, max_file_size=LARGEST, on_upload=self._take
        )
        self.upload.props(f'flat accept="{",".join(sorted(READABLE))},.zip"').classes("drop")
        self.upload.on("finish", self._done, args=[])
        self.upload.on_rejected(lambda: ui.notify("Not a picture, a video or a zip, or larger than 1 GB"))
        with ui.element("div").classes("bar sources"):
            files, folder = (button(name, lambda: None, "quiet") for name in ("Files", "Folder"))
            button("Camera", self._camera, "quiet")
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
