"""The card of a cache: how it was prepared, of which files, and whether that is still so."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viceversa.config import ConfigError, DataConfig
from viceversa.data.images import list_files

CARD, FORMAT = "cache.json", "viceversa cache 1"
EVERY = ("channels_a", "channels_b", "test_fraction", "paired_test")  # keys that any cache depends on
SIZED = ("resize", "load", "crop")  # and those that one of resized pictures depends on as well


def read_card(folder: Path) -> dict[str, Any]:
    """Return what `cache.json` says; raise ConfigError if it is none of ours."""
    try:
        card = json.loads((folder / CARD).read_text("utf-8"))
    except (ValueError, RecursionError):
        card = None
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise ConfigError(f"{folder}: {CARD} is not that of a cache of this version; make the cache anew")
    return card


def renewal(folder: Path, card: Mapping[str, Any], data: DataConfig | None = None) -> str:
    """Return the command that makes the cache again, as `data` wants it."""
    settings = card["settings"] if data is None else {**settings_of(data), "layout": card["settings"]["layout"]}
    words = [f"data.{key}={_spelled(value)}" for key, value in settings.items() if value != getattr(DataConfig(), key)]
    return shlex.join(["viceversa", "data", "cache", str(card["root"]), str(folder), *words, "--overwrite"])


def fingerprint(folder: Path) -> dict[str, list[int]]:
    """Return size and time of the last change (ns) of every picture and manifest below a folder."""
    manifests = [path.name for path in folder.glob("manifest.*")]
    found = {name: (folder / name).stat() for name in [*list_files(folder), *manifests]}
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in found.items()}


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def settings_of(data: DataConfig) -> dict[str, Any]:
    """Return the keys that a cache depends on."""
    return {key: getattr(data, key) for key in ("layout", *SIZED, *EVERY)}


def check_settings(folder: Path, card: Mapping[str, Any], data: DataConfig) -> None:
    """Raise ConfigError if the training wants other pictures than the cache holds."""
    made = card["settings"]
    keys = EVERY if made["resize"] == "none" else (*SIZED, *EVERY)
    for key in keys:
        if made[key] != getattr(data, key):
            raise ConfigError(
                f"{folder}: made for data.{key}={_spelled(made[key])}, and the training wants "
                f"{_spelled(getattr(data, key))}; renew it: {renewal(folder, card, data)}"
            )
    if made["resize"] != "none" and not data.decay_crop:
        raise ConfigError(
            f"{folder}: holds pictures of one size, and data.decay_crop=false needs two; "
            "make the cache with data.resize=none, so that they keep their own"
        )


def check_files(folder: Path, card: Mapping[str, Any]) -> None:
    """Raise ConfigError if the files that it was made of have changed, where they still are.

    One that was touched, but holds what it held, has not changed.
    """
    root = Path(card["root"])
    if not root.is_dir():
        return
    now, then = fingerprint(root), {name: list(seen) for name, seen in card["files"].items()}
    changed = {
        "new": sorted(now.keys() - then.keys()),
        "gone": sorted(then.keys() - now.keys()),
        "changed": [
            name
            for name in now.keys() & then.keys()
            if now[name] != then[name][:2] and (now[name][0] != then[name][0] or digest(root / name) != then[name][2])
        ],
    }
    if any(changed.values()):
        counts = ", ".join(f"{len(names)} {what} ({names[0]})" for what, names in changed.items() if names)
        raise ConfigError(f"{folder}: the pictures in {root} are no longer those: {counts}; {renewal(folder, card)}")
