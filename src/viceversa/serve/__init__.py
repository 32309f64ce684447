"""A trained generator as a service, and what keeps strangers and broken uploads out of it and of the studio."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

__all__ = ["ServeOptions", "require_extra", "serve"]


@dataclass(frozen=True)
class ServeOptions:
    """What to serve, where, to whom, and how much of it."""

    model: Path
    """A run's folder, a weights file, or an exported file."""
    host: str = "127.0.0.1"
    port: int = 8000
    """0: any that is free."""
    password: str = field(default="", repr=False)
    """Needed where others than this machine can reach the server."""
    names: tuple[str, ...] = ()
    """Further names that it is reached by."""
    workers: int = 1
    """Processes, each with the model."""
    queue: int = 64
    """Pictures that a process takes at a time; beyond, the answer is 503."""
    batch: int | None = None
    """Pictures of one size to compute at once; None: as many as keep a graphics card busy, one on a CPU."""
    max_bytes: int = 32 * 2**20
    max_pixels: int = 2**25
    best: bool = False
    """Use the weights that scored best in training."""
    device: str = "auto"


def require_extra() -> None:
    """Raise ValueError, with the remedy, if what servers need is not installed."""
    for package in ("fastapi", "uvicorn", "prometheus_client"):
        if find_spec(package) is None:
            raise ValueError(f'a server needs {package}; pip install "viceversa[studio]"')


def serve(options: ServeOptions) -> None:
    """Serve until a signal, then finish what was taken; raise ValueError or OSError, with the remedy."""
    require_extra()
    from viceversa.serve.server import run

    run(options)
