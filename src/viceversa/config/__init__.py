"""The configuration of a run: frozen dataclasses, read from presets, YAML files and `key=value` words, and written.

Values come, later ones winning, from the defaults in `schema`, a preset, a YAML 1.2 file, and `key=value` overrides.
In YAML 1.2 1e-4 is a number and `no` a word.
"""

from __future__ import annotations

import dataclasses
import importlib
import io
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from viceversa.options import Direction, docs_of

from .check import COMPONENTS, SECTIONS, ConfigError, adapter, explain, is_text, may_change, suggest, validate
from .schema import AugmentConfig, Config, DataConfig, Duration, Inference, TrainConfig, as_component

__all__ = ["COMPONENTS", "AugmentConfig", "Config", "ConfigError", "DataConfig", "Direction", "Duration", "Inference"]
__all__ += ["TrainConfig", "default_run", "explain", "flat", "import_class", "load_config", "load_words", "may_change"]
__all__ += ["meanings", "parse_override", "parse_yaml", "presets", "suggest", "to_tree", "to_yaml", "validate"]

DEFAULT_PRESET = "style"
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
    if isinstance(changes.get("train"), Mapping) and {"budget", "length"} <= changes["train"].keys():
        raise ConfigError("train.budget and train.length exclude each other: omit one of them")
    tree = {} if source is None else _read_source(str(source))
    config = validate(merge(merge(to_tree(Config()), tree), changes))
    for section in COMPONENTS:
        typed = as_component(changes.get(section))
        if isinstance(typed, Mapping) and ":" in str(typed.get("name")):
            import_class(f"{section}.name", str(typed["name"]))
    return config


def load_words(words: Sequence[str]) -> Config:
    """Read what was typed after a command: overrides, or first a preset or what exists: a file or run (runs/lr=0.1)."""
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
        return Path(urlsplit(place).path.rstrip("/") or urlsplit(place).netloc).name.partition(".")[0]
    path = Path(os.path.abspath(place))  # not resolved: a link is called what its owner called it
    return path.stem if path.is_file() else path.name


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
            value = parse_value(text)
        except Exception:  # what is not YAML is text, and the check of its key says what is wrong
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
        path = path / "config.yaml" if path.is_dir() else path
        if path.is_file():
            return parse_yaml(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source}: cannot be read ({error})") from None
    if path != Path(source):
        word = shlex.quote(f"data.root={source}")
        raise ConfigError(f"{source}: a folder without config.yaml; for one of pictures write {word}")
    raise ConfigError(f"{source}: neither a preset nor a YAML file{suggest(source, known)}")


def import_class(key: str, name: str) -> Any:
    """Import the class that `module:Class` names; raise ConfigError, which names the key, if that cannot be."""
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ConfigError(f"{key}={name}: cannot be imported ({error})") from None


def presets() -> dict[str, Path]:
    """Return the files of the presets by name."""
    return {path.stem: path for path in sorted(PRESETS.glob("*.yaml"))}


def parse_value(text: str) -> Any:
    """Return the value that a YAML text stands for; on odd text ruamel raises nearly anything."""
    return YAML(typ="safe", pure=True).load(text)


def parse_yaml(text: str, name: str) -> dict[str, Any]:
    """Parse YAML that must hold a mapping; `name` is used in the message of the ConfigError."""
    try:
        tree = parse_value(text)
    except Exception as error:
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}" if place else ""
        raise ConfigError(f"{name}{line}: not valid YAML ({getattr(error, 'problem', None) or error})") from None
    if not isinstance(tree, dict | None):
        raise ConfigError(f"{name}: expected `key: value` lines, found {type(tree).__name__}")
    return tree or {}


def to_tree(config: Config) -> dict[str, Any]:
    """Return the configuration as plain values that YAML and JSON can hold."""
    tree: dict[str, Any] = adapter().dump_python(config, mode="json")
    return tree


def to_yaml(config: Config, options: Mapping[str, Mapping[str, str]] | None = None) -> str:
    """Return it as YAML; `options` describes the components': {"generator": {"blocks": "Residual blocks."}}."""
    yaml, text = YAML(), io.StringIO()
    yaml.width = 10_000
    yaml.dump(_commented(to_tree(config), meanings(options or {})), text)
    return text.getvalue().lstrip("\n")


def meanings(options: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return what every key means, by dotted key; `options` describes the components', as in `to_yaml`."""
    found = {f"{section}.{key}": text for section, texts in options.items() for key, text in texts.items()}
    for section, cls in SECTIONS.items():
        found |= {f"{section}.{name}".lstrip("."): text for name, text in docs_of(cls).items()}
    return found


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """Return nested values under dotted keys."""
    found: dict[str, object] = {}
    for key, value in tree.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


def _commented(tree: Mapping[str, Any], meaning: Mapping[str, str], prefix: str = "") -> CommentedMap:
    found = CommentedMap()
    for name, value in tree.items():
        key = prefix + name
        found[name] = _commented(value, meaning, f"{key}.") if isinstance(value, dict) else value
        if isinstance(value, str) and not value.isprintable():  # which ruamel might write as plain line ends
            found[name] = DoubleQuotedScalarString(value)
        if key in meaning:
            comment = meaning[key] if prefix else "\n" + meaning[key]
            found.yaml_set_comment_before_after_key(name, before=comment, indent=2 * prefix.count("."))
    return found
