"""Files that come from the browser: dropped, chosen, pasted or taken with a camera, into a folder of the workspace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nicegui import ui
from nicegui.events import UploadEventArguments

from viceversa.translate.files import READABLE

if TYPE_CHECKING:
    from viceversa.studio import Studio

LARGEST = 2**30
"""Bytes of a file that is uploaded."""


class DropZone:
    """Takes files and zips of pictures; `changed` is told of the folder when all are there."""

    def __init__(self, studio: Studio, what: str, changed: Callable[[Path], object]) -> None:
        self.studio, self.changed = studio, changed
        self.folder: Path | None = None
        self.upload = ui.upload(multiple=True, auto_upload=True, max_file_size=LARGEST, on_upload=self._take)
        self.upload.props(f'label="{what}" flat accept="{",".join(sorted(READABLE))},.zip"').classes("drop")
        self.upload.on("finish", self._done, args=[])
        self.upload.on("rejected", lambda: ui.notify("Not a picture, a video or a zip, or larger than 1 GB"), args=[])

    async def _take(self, event: UploadEventArguments) -> None:
        if self.folder is None:
            self.folder = self.studio.workspace.fresh("uploads")
        name = Path(event.file.name).name.lstrip(".") or "picture.png"
        await event.file.save(self.folder / name)

    async def _done(self) -> None:
        if self.folder is not None:
            self.upload.reset()
            folder, self.folder = self.folder, None
            self.changed(folder)
