"""Pictures are decoded and encoded in processes of their own, which have little memory and time, and may die.

What such a process has to say is read as numbers and text, never unpickled: a picture may have been made to take the
process over.
"""

from __future__ import annotations

import multiprocessing
import queue
import re
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from multiprocessing.connection import Connection
from multiprocessing.util import Finalize
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
from PIL import Image

from viceversa.data.image_data import ImageData, ImageError, to_pil
from viceversa.data.image_io import image_size
from viceversa.translate.clips import open_clip
from viceversa.translate.files import HEIC, is_video, suffix_of
from viceversa.translate.source import Metadata, is_clip, read_metadata, read_source, write_translation


@dataclass(frozen=True)
class Limits:
    """How much is taken of what is uploaded."""

    bytes: int = 32 * 2**20
    """Of a picture's file."""
    pixels: int = 2**25
    """Of a picture."""
    memory: int = 2**31
    """Bytes to decode or encode a picture in."""
    seconds: float = 30.0
    """To decode or encode a picture in."""
    files: int = 10_000
    """In an archive."""
    unpacked: int = 4 * 10**9
    """Bytes of an archive's files."""


@dataclass(frozen=True)
class Upload:
    """A picture that was uploaded, decoded."""

    image: ImageData
    metadata: Metadata
    suffix: str
    """By what the file holds, not by its name."""


class Codecs:
    """So many processes that decode and encode pictures; threads may share them. Close them in the end."""

    def __init__(self, count: int = 2, limits: Limits | None = None) -> None:
        self.count, self.limits = count, limits or Limits()
        self._free: queue.LifoQueue[_Process | None] = queue.LifoQueue()
        for _ in range(count):
            self._free.put(None)
        # else, at our exit, multiprocessing would wait for processes that wait for us
        self._at_exit = Finalize(None, self._end, exitpriority=1)

    def start(self) -> None:
        """Start the processes, which takes seconds; else each starts when it is needed."""
        for process in [self._free.get() for _ in range(self.count)]:
            self._free.put(process or _Process(self.limits.memory))

    def thumbnail(self, path: Path, side: int) -> bytes:
        """Return a picture of at most `side` pixels, of a clip the first, as WebP; ImageError as of `decode`."""
        if not is_video(path):
            self._refuse_large(path.stat().st_size)
        return self._ask(_thumbnail, path, side, self.limits.pixels)

    def decode(self, content: bytes) -> Upload:
        """Decode the content of a file; ImageError, in one line, if it is no picture or more than the limits allow."""
        self._refuse_large(len(content))
        found = np.load(BytesIO(self._ask(_decode, content, self.limits.pixels)), allow_pickle=False)
        numbers = bool(found["gray"]), int(found["depth"]), bool(found["stretched"])
        image = ImageData(found["pixels"], found.get("alpha"), *numbers)
        metadata = Metadata(found["exif"].tobytes(), found["profile"].tobytes(), bool(found["deep"]))
        return Upload(image, metadata, str(found["suffix"]))

    def encode(self, image: ImageData, metadata: Metadata, suffix: str) -> bytes:
        """Return the content of a file in the format of the suffix; ImageError if that cannot hold it."""
        return self._ask(_encode, image, metadata, suffix)

    def close(self) -> None:
        """End the processes."""
        self._at_exit()

    def _end(self) -> None:
        with suppress(queue.Empty):
            while True:
                if process := self._free.get_nowait():
                    process.end()

    def _refuse_large(self, size: int) -> None:
        if size > self.limits.bytes:
            raise ImageError(f"larger than {self.limits.bytes} bytes")

    def _ask(self, what: Callable[..., bytes], *args: Any) -> bytes:
        process = self._free.get()
        try:
            process = process or _Process(self.limits.memory)
            return process.ask(self.limits.seconds, what, *args)
        except (OSError, EOFError):
            if process:
                process.end()
            process = None
            raise ImageError("damaged, or takes too much memory or time; shrink it first") from None
        finally:
            self._free.put(process)


class _Process:
    def __init__(self, memory: int) -> None:
        context: Any = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
        multiprocessing.set_forkserver_preload([__name__])  # so that only the first one imports torch
        self.folder = TemporaryDirectory(prefix="viceversa-")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other, Path(self.folder.name), memory), daemon=True)
        self.process.start()
        other.close()

    def ask(self, seconds: float, what: Callable[..., bytes], *args: Any) -> bytes:
        """Return the answer; ImageError as raised there, EOFError or OSError if the process is gone, or too slow."""
        self.connection.send((what, args))
        if not self.connection.poll(seconds):
            raise TimeoutError
        answer: bytes = self.connection.recv_bytes()
        if answer[:1] == b"!":
            raise ImageError(answer[1:].decode("utf-8", "replace"))
        return answer[1:]

    def end(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self.connection.close()
        self.folder.cleanup()


def _work(connection: Connection, folder: Path, memory: int) -> None:
    """Do tasks until the other side goes."""
    for name in (signal.SIGINT, signal.SIGTERM):  # whoever asks ends us, when all is done
        signal.signal(name, signal.SIG_IGN)
    if sys.platform != "win32":
        import resource

        room = psutil.Process().memory_info().vms + memory
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(EOFError, OSError):
        while True:
            connection.send_bytes(_answer(folder, *connection.recv()))
    shutil.rmtree(folder, ignore_errors=True)


def _answer(folder: Path, what: Callable[..., bytes], args: tuple[Any, ...]) -> bytes:
    path = folder / "picture"
    try:
        return b"=" + what(path, *args)
    except ImageError as error:
        names = "|".join(re.escape(str(name)) for name in (path, *args) if isinstance(name, Path))
        return b"!" + re.sub(rf"^({names})[.\w]*: ", "", str(error)).encode()
    except MemoryError:
        return b"!takes too much memory; shrink it first"
    finally:
        for file in folder.iterdir():
            file.unlink()


def _decode(path: Path, content: bytes, most: int) -> bytes:
    """Return what `Codecs.decode` does, as arrays."""
    suffix = suffix_of(content)
    path = path.with_suffix(suffix)
    path.write_bytes(content)
    if is_clip(path):
        raise ImageError("moves; send its frames one by one")
    image, metadata, packed = _read(path, most), read_metadata(path), BytesIO()
    fields = {**vars(image), **vars(metadata), "suffix": ".jpg" if suffix in HEIC else suffix}
    fields = {
        name: np.frombuffer(value, np.uint8) if isinstance(value, bytes) else value for name, value in fields.items()
    }
    np.savez(packed, **{name: value for name, value in fields.items() if value is not None})
    return packed.getvalue()


def _read(path: Path, most: int) -> ImageData:
    """Return a picture, of a clip the first, if it has no more than so many pixels."""
    width, height = image_size(path) or (0, 0)
    if width * height <= most:
        image = next(open_clip(path).frames())[1] if is_clip(path) else read_source(path)
        height, width = image.pixels.shape[:2]
    if width * height > most:
        raise ImageError(f"{width} x {height} pixels are more than {most}; shrink it first")
    return image


def _encode(path: Path, image: ImageData, metadata: Metadata, suffix: str) -> bytes:
    """Return what `Codecs.encode` does."""
    path = path.with_suffix(suffix)
    write_translation(path, image, metadata)
    return path.read_bytes()


def _thumbnail(path: Path, source: Path, side: int, most: int) -> bytes:
    """Return what `Codecs.thumbnail` does."""
    image = to_pil(_read(source, most))
    image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    image.save(path, "WEBP", quality=88, method=2)
    return path.read_bytes()
