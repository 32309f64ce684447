"""Files that come from the browser: dropped, chosen, pasted or taken with a camera, into a folder of the workspace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from nicegui import run, ui
from nicegui.events import UploadEventArguments

from viceversa.data.image_data import ImageError
from viceversa.serve.uploads import UploadError, harmless_name, unpack_pictures
from viceversa.studio.frame import button, dialog
from viceversa.translate.files import READABLE, VIDEOS

if TYPE_CHECKING:
    from viceversa.studio import Studio

LARGEST = 2**30
"""Bytes of a file that is uploaded."""


class DropZone:
    """Takes pictures, videos and zips; `changed` is told of their folder when all are there.

    Each picture is decoded once, in a process of its own with little memory; what is none is deleted and named.
    """

    def __init__(self, studio: Studio, what: str, changed: Callable[[Path], object]) -> None:
        self.studio, self.changed = studio, changed
        self.folder: Path | None = None
        self.coming = self.taken = 0
        self.most = studio.offer.codecs.limits.files
        self.refused: list[str] = []
        self.upload = ui.upload(
            multiple=True, auto_upload=True, max_file_size=LARGEST, max_files=self.most, on_upload=self._take
        )
        self.upload.props(f'label="{what}" flat accept="{",".join(sorted(READABLE))},.zip"').classes("drop")
        self.upload.on("finish", self._done, args=[])
        self.upload.on("rejected", lambda: ui.notify("Not a picture, a video or a zip, or larger than 1 GB"), args=[])
        with ui.element("div").classes("bar sources"):
            ui.button("Folder", color=None).props("flat no-caps").classes("plain quiet").on(
                "click", js_handler=f"() => chooseFolder({self.upload.id})"
            )
            button("Camera", self._camera, "quiet")

    async def _take(self, event: UploadEventArguments) -> None:
        self.coming += 1
        try:
            if self.folder is None:
                self.folder = self.studio.workspace.fresh("uploads")
            path = _free(self.folder / harmless_name(event.file.name))
            self.taken += 1
            if self.taken > self.most:
                raise UploadError(f"more than {self.most} files")
            path.touch()
            await event.file.save(path)
            await run.io_bound(self._look_at, path)
        except (ImageError, UploadError) as error:
            path.unlink(missing_ok=True)
            self.refused.append(f"{path.name}: {error}")
        finally:
            self.coming -= 1

    def _look_at(self, path: Path) -> None:
        """Unpack an archive, and refuse what is no picture."""
        codecs = self.studio.offer.codecs
        if path.suffix.lower() == ".zip":
            refused = unpack_pictures(path, path.with_suffix(""), codecs, codecs.limits)
            self.refused += [f"{name}: {reason}" for name, reason in refused.items()]
            path.unlink()
        elif path.suffix.lower() not in VIDEOS:
            upload = codecs.decode_file(path)
            if path.suffix.lower() not in READABLE:
                path.rename(_free(path.with_suffix(upload.suffix)))

    async def _done(self) -> None:
        while self.coming:
            await asyncio.sleep(0.05)
        self.upload.reset()
        if self.refused:
            more = f" (and {len(self.refused) - 1} more)" if len(self.refused) > 1 else ""
            ui.notify(f"Left out: {self.refused[0]}{more}", type="warning", multi_line=True, timeout=8000)
        folder, self.folder, self.refused, self.taken = self.folder, None, [], 0
        if folder is not None and any(folder.iterdir()):
            self.changed(folder)

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
