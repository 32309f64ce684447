"""The ready-made configurations that come with the package."""

from __future__ import annotations

from pathlib import Path

from viceversa.config.check import suggest
from viceversa.config.schema import ConfigError

FOLDER = Path(__file__).parents[1] / "presets"


def presets() -> dict[str, Path]:
    """Return the files of the presets by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


def preset_text(name: str) -> str:
    """Return a preset as it stands; raise ConfigError for an unknown name."""
    known = presets()
    if name not in known:
        raise ConfigError(f"{name}: there is no such preset{suggest(name, known)}")
    return known[name].read_text("utf-8")


def preset_titles() -> dict[str, str]:
    """Return what each preset is, in a line: its first comment."""
    return {name: preset_text(name).splitlines()[0].lstrip("# ") for name in presets()}


def copy_preset(name: str, target: Path) -> Path:
    """Copy a preset to a file, or into a folder, and return the file; what is there is never overwritten."""
    text = preset_text(name)
    path = target / f"{name}.yaml" if target.is_dir() else target
    if path.exists():
        raise FileExistsError(f"{path}: exists already; choose another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path
