"""Names that several test modules import; fixtures live in conftest.py."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Command = Callable[..., "subprocess.CompletedProcess[str]"]


TINY = [
    *("generator.width=4", "generator.blocks=1", "discriminator.width=4", "discriminator.layers=2", "data.load=32"),
    *("data.crop=32", "data.workers=0", "train.decay=0 steps", "train.device=cpu", "train.samples=1"),
]
"""A training that takes a moment."""


def noise(*shape: int, seed: int = 0, kind: Any = np.uint8) -> np.ndarray:
    """Random numbers over the whole range of an integer type."""
    return np.random.default_rng(seed).integers(0, np.iinfo(kind).max + 1, shape, kind)


def save(path: Path, image: np.ndarray | Image.Image, **options: object) -> Path:
    """Write an image as Pillow does, in folders made as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80", "NO_COLOR": "1"}


def free_port() -> int:
    """Return a port on which nobody listens at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def finish(coroutine: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine in a thread of its own: in this one a browser's event loop may be running."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, coroutine).result()


CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_FLAGS = [  # for a container without graphics or privileges, and nothing but the page on the wire
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
