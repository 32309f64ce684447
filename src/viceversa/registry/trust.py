"""Which code from outside a file may name.

To import a module is to run it. So what only a file names, a weights file's card or a configuration, perhaps a
stranger's, is imported when its user has named it before: typed it as a word, imported it, or told us to trust it.
Remembered is where the code lies, so that other code of the same name in another folder is not meant.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from viceversa.config import ConfigError
from viceversa.files import cache_folder, locked, replacing


def may_import(module: str) -> bool:
    """Return whether to import a module that a file names: it is imported already, or known."""
    return module in sys.modules or _home(module) in trusted()


def trust(module: str) -> str:
    """Remember that files may name a module, or one inside it, and return where it lies; nothing of it is run.

    Raises ConfigError if there is no such module, or OSError if it cannot be noted down.
    """
    home = _home(module)
    if not home:
        raise ConfigError(f"{module}: there is no such module here; go to the folder in which it lies")
    path = notes()
    with locked(path):
        known = trusted()
        if home not in known:
            with replacing(path) as temporary:
                temporary.write_text("".join(f"{line}\n" for line in [*known, home]), "utf-8")
    return home


def trusted() -> list[str]:
    """Return where the code lies that files may name."""
    try:
        return notes().read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return []


def notes() -> Path:
    """Return the file that remembers."""
    return cache_folder() / "trusted.txt"


def _home(module: str) -> str:
    """Return where a module's top package lies, or nothing; it is looked for, not run."""
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return ""
    if spec is None:
        return ""
    places = [spec.origin] if spec.has_location else list(spec.submodule_search_locations or [])
    return os.path.realpath(places[0]) if places and places[0] else ""
