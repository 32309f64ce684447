"""A trained generator as a service, and what keeps strangers and broken uploads out of it and of the studio."""

from __future__ import annotations

from importlib.util import find_spec

from viceversa.options import ServeOptions

__all__ = ["require_extra", "serve"]


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
