"""A run's folder: the configuration it keeps, and what may differ when it is continued."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from viceversa.config import Config, ConfigError, load_config, to_tree, to_yaml
from viceversa.files import replacing
from viceversa.methods import describe

FREE = {
    *("run", "inference", "data.workers", "train.length", "train.decay", "train.device"),
    *("train.save_every", "train.keep", "train.sample_every", "train.samples", "train.log_every"),
    "train.report",
}
"""Keys that may differ when a run is continued."""


def refuse_changes(run: Path, config: Config) -> None:
    """Only what cannot change a step's result, or only the length, may differ from the run's configuration.

    Raises ConfigError that names the other keys.
    """
    path = run / "config.yaml"
    if not path.exists():
        return
    before, now = flat(to_tree(load_config(path))), flat(to_tree(config))
    changed = sorted(key for key in now if now[key] != before.get(key) and key not in FREE)
    if changed:
        differing = ", ".join(f"{key} {before.get(key)} -> {now[key]}" for key in changed)
        raise ConfigError(
            f"{run}: was trained with other values ({differing}); choose another folder with run=FOLDER, "
            f"or continue as it was: viceversa train {run}"
        )


def keep_config(run: Path, config: Config) -> None:
    """Write the complete configuration into the run."""
    with replacing(run / "config.yaml") as temporary:
        temporary.write_text(to_yaml(config, describe(config)), "utf-8")


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values under dotted keys."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found
