"""From a preset, a YAML file and `key=value` words to a Config."""

from __future__ import annotations

import dataclasses
import importlib
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor

from viceversa.config.check import suggest, validate
from viceversa.config.dump import flat, to_tree
from viceversa.config.schema import COMPONENTS, Config, ConfigError, as_component, is_text

DEFAULT_PRESET = "modern"
PRESETS = Path(__file__).parents[1] / "presets"


def load_config(source: str | Path | None = None, overrides: Iterable[str] = ()) -> Config:
    """Read a preset (by name), a YAML file or a run's folder, apply `key=value` overrides, and check the values.

    A class from outside (`generator=my_nets:Mine`) that an override names is imported: who types it, means it. One that
    only the file names is not, here. Raises ConfigError for an unknown preset, file, key or value, for values that do
    not go together, and for what cannot be imported.
    """
    changes: dict[str, Any] = {}
    for word in overrides:
        changes = merge(changes, parse_override(word))
    tree = to_tree(Config())
    if source is not None:
        tree = merge(tree, _read_source(str(source)))
    config = validate(merge(tree, changes))
    for section in COMPONENTS:
        typed = as_component(changes.get(section))
        if isinstance(typed, Mapping) and ":" in str(typed.get("name")):
            import_class(f"{section}.name", str(typed["name"]))
    return config


def load_words(words: Sequence[str]) -> Config:
    """Read what was typed after a command: a preset or a file, unless the first word is an override; then overrides.

    What exists is a file, or a run, whatever it is called: runs/lr=0.1.
    """
    named = bool(words) and ("=" not in words[0] or "/" in words[0].partition("=")[0] or os.path.exists(words[0]))
    source = words[0] if named else DEFAULT_PRESET
    return default_run(load_config(source, words[named:]), Path(source).stem)


def default_run(config: Config, name: str) -> Config:
    """Return the configuration with its run folder named, if it is not and the data is known: runs/NAME-DATA."""
    data = config.data
    named = [_name(place) for place in (data.root or data.manifest, data.a, data.b) if place]
    return config if config.run or not named else dataclasses.replace(config, run=f"runs/{'-'.join([name, *named])}")


def _name(place: str) -> str:
    """Return what a folder or a file is called, or the data set at an address."""
    if "://" in place:
        parts = urlsplit(place)
        name = f"{parts.netloc}{parts.path}".rstrip("/").rpartition("/")[2]
        return re.sub(r"(\.tar)?\.(zip|tar|gz|tgz|bz2|xz)$", "", name)
    path = Path(os.path.abspath(place))  # not resolved: a link is called what its owner called it
    return path.stem if path.is_file() else path.name


def parse_yaml(text: str, name: str) -> dict[str, Any]:
    """Parse YAML 1.2 that must hold a mapping; `name` is used in the message of the ConfigError."""
    try:
        tree = _yaml(text)
    except Exception as error:  # on odd text ruamel raises nearly anything: YAMLError, ValueError, IndexError, ...
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}" if place else ""
        raise ConfigError(f"{name}{line}: not valid YAML ({getattr(error, 'problem', None) or error})") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{name}: expected `key: value` lines, found {type(tree).__name__}")
    return tree


def parse_override(word: str) -> dict[str, Any]:
    """Turn `data.crop=128` into {"data": {"crop": 128}}; nothing after the = means null, for text its default."""
    key, equals, text = word.partition("=")
    if word.rstrip("s") in ("step", "epoch"):
        raise ConfigError(f'{word}: a duration has a space in it; quote it: "train.length=5000 {word}"')
    if not equals or not all(key.split(".")):
        raise ConfigError(f"{word}: expected key=value, such as data.root=datasets/horse2zebra")
    value: Any
    if is_text(key):
        value = text or flat(to_tree(Config()))[key]
    else:
        try:
            value = _yaml(text)
        except Exception:  # as above; what is not YAML is text, and the check of its key says what is wrong
            value = text
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return `old` with the values of `new` in it; naming another component drops the old component's options."""
    result = dict(old)
    for key, value in new.items():
        before: Any = result.get(key)
        if key in COMPONENTS:
            before, value = as_component(before), as_component(value)
        together = isinstance(before, Mapping) and isinstance(value, Mapping)
        if together and key in COMPONENTS and "name" in before and "name" in value:
            together = before["name"] == value["name"]
        result[key] = merge(before, value) if together else value
    return result


def _read_source(source: str) -> dict[str, Any]:
    known = presets()
    if source in known:
        return parse_yaml(known[source].read_text("utf-8"), f"preset {source}")
    try:
        path = Path(source)
        if path.is_dir() and not (path / "config.yaml").is_file():
            word = shlex.quote(f"data.root={source}")
            raise ConfigError(f"{source}: a folder without config.yaml; for one of pictures write {word}")
        path = path / "config.yaml" if path.is_dir() else path
        if path.is_file():
            return parse_yaml(path.read_text("utf-8"), str(path))
    except ConfigError:
        raise
    except (OSError, ValueError) as error:
        raise ConfigError(f"{source}: cannot be read ({error})") from None
    if "/" in source:
        raise ConfigError(f"{source}: there is no such YAML file or run; see the presets: viceversa presets list")
    raise ConfigError(f"{source}: neither a preset nor a YAML file{suggest(source, known)}")


def import_class(key: str, name: str) -> Any:
    """Import the class that `module:Class` names; raise ConfigError, which names the key, if that cannot be."""
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ConfigError(f"{key}={name}: cannot be imported ({error})") from None


class _WithoutDates(SafeConstructor):
    """YAML 1.2 has no dates: 2024-01-31 is text."""


_WithoutDates.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def _yaml(text: str) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _WithoutDates
    return yaml.load(text)


def presets() -> dict[str, Path]:
    """Return the files of the presets by name."""
    return {path.stem: path for path in sorted(PRESETS.glob("*.yaml"))}


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
