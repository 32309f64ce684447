"""Names that several test modules import; fixtures live in conftest.py."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

Command = Callable[..., "subprocess.CompletedProcess[str]"]


TINY = [
    *("generator.width=4", "generator.blocks=1", "discriminator.width=4", "discriminator.layers=2", "data.load=32"),
    *("data.crop=32", "data.workers=0", "train.decay=0 steps", "train.device=cpu", "train.samples=1"),
]
"""A training that takes a moment."""


def noise(*shape: int, seed: int = 0, kind: Any = np.uint8) -> np.ndarray:
    """Random numbers over the whole range of an integer type."""
    return np.random.default_rng(seed).integers(0, np.iinfo(kind).max + 1, shape, kind)


def image_of(mode: str, height: int, width: int) -> Image.Image:
    """Noise in one of Pillow's modes."""
    if mode == "I;16":
        return Image.fromarray(noise(height, width, kind=np.uint16))
    if mode == "F":
        return Image.fromarray(noise(height, width).astype(np.float32) / 255)
    return Image.fromarray(noise(height, width, 4)).convert("RGBA" if mode in ("LA", "RGBA") else "RGB").convert(mode)


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by their path in it."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def foreign_profile() -> bytes:
    """A colour profile in which sRGB's red and blue are exchanged."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace(b"rXYZ", b"????", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"????", b"bXYZ", 1)
    return profile.replace("sRGB".encode("utf-16-be"), "xRGB".encode("utf-16-be"))


def save(path: Path, image: np.ndarray | Image.Image, **options: object) -> Path:
    """Write an image as Pillow does, in folders made as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


def read_lines(path: str | Path) -> list[dict[str, Any]]:
    """The values in a file that holds one in each line."""
    return [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80", "NO_COLOR": "1"}


WITHOUT_TORCH = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
sys.modules.update(torch=None, numpy=None, PIL=None)  # to import them is an error
import viceversa.files
from viceversa.cli import main
viceversa.files.PATIENCE = 0
for words in json.load(sys.stdin):
    sys.argv = ["viceversa", *words.split()]
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try:
            main()
        except SystemExit as stop:
            status = stop.code
    print(json.dumps([status, out.getvalue(), err.getvalue()]))
"""


def refusals(lines: list[str], cwd: Path) -> list[tuple[int, str]]:
    """Exit status and the one line on stderr of each command line, where torch cannot be imported."""
    words, given = [sys.executable, "-c", WITHOUT_TORCH], json.dumps(lines)
    done = subprocess.run(words, input=given, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=600)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(said) == len(lines), done.stderr
    return [(status, refusal(out, err)) for status, out, err in said]


def refusal(out: str, err: str) -> str:
    """The one line with which a command is refused, without its name."""
    assert out == ""
    assert err.startswith("viceversa: ")
    assert err.count("\n") == 1
    return err.removeprefix("viceversa: ").rstrip("\n")


def free_port() -> int:
    """Return a port on which nobody listens at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


BaseHTTPRequestHandler.log_message = lambda *_: None  # which would print every request


@contextmanager
def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """Answer requests while the block runs; yield the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.handle_error = lambda *_: None  # a client that hangs up
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def finish(coroutine: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine in a thread of its own: in this one a browser's event loop may be running."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, coroutine).result()


CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_FLAGS = [  # for a container without graphics or privileges, and nothing but the page on the wire
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
