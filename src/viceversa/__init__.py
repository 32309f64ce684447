"""viceversa learns to translate images from one domain to another, and back.

>>> import viceversa
>>> config = viceversa.load_config("cyclegan", ["data.root=datasets/horse2zebra", "run=runs/h2z"])
>>> viceversa.train(config)
>>> viceversa.load("runs/h2z")(image)
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from viceversa.config import Config, load_config
    from viceversa.engine.run_dir import RunDir
    from viceversa.interop import load_network
    from viceversa.translator import Translator, load

__version__ = "0.1.0"
__all__ = ["Config", "RunDir", "Translator", "__version__", "load", "load_config", "load_network", "train"]

HOMES = {
    "Config": "config",
    "load_config": "config",
    "RunDir": "engine.run_dir",
    "load_network": "interop",
    "Translator": "translator",
    "load": "translator",
}


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used, so that `viceversa --help` does not wait for torch."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)


def train(config: Config, fork: Path | None = None, fixed: Collection[str] = ()) -> RunDir:
    """Train as configured, keep the run's report up to date, and return its folder; see `viceversa.engine.train`.

    A notebook shows the newest samples in the cell that trains, and wherever the run is a cell's result.
    """
    from viceversa import engine
    from viceversa.engine.run_dir import RunDir

    return RunDir(engine.train(config, fork, _write_report, fixed))


def _write_report(run: Path) -> None:
    from viceversa import report  # here, as a training without reports does not need it

    report.write(run)
