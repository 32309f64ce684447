"""How a run was configured: the nearest preset, what differs from it, and the command that does it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from viceversa import methods
from viceversa.config import Config, ConfigError, flat, load_config, meanings, parse_override, presets, to_tree


@dataclass(frozen=True)
class Difference:
    """A key that has another value here than in the preset."""

    key: str
    here: str
    there: str
    meaning: str


@lru_cache
def _known() -> dict[str, dict[str, object]]:
    return {name: flat(to_tree(methods.resolve(load_config(name)))) for name in presets()}


def nearest_preset(config: Config) -> str:
    """Return the preset from which the fewest keys differ."""
    own = flat(to_tree(config))
    count = {name: len(_changed(own, values)) for name, values in _known().items()}
    return min(count, key=lambda name: (count[name], name))


def differences(config: Config, preset: str) -> list[Difference]:
    """Return what is not as in the preset, in the order of the configuration; not where the run lies."""
    meaning = meanings(methods.describe(config))
    there = _known()[preset]
    own = flat(to_tree(config))
    return [
        Difference(key, shown(own[key]), shown(there[key]) if key in there else "", meaning.get(key, ""))
        for key in _changed(own, there)
    ]


def command(config: Config, run: str) -> str:
    """Return the shell command that trains the same into another folder."""
    preset, own = nearest_preset(config), flat(to_tree(config))
    changed = _changed(own, _known()[preset])
    return shell("train", preset, *(_word(key, own[key]) for key in changed), f"run={run}")


def shell(*words: str) -> str:
    """Return a viceversa command that can be pasted into a shell."""
    return shlex.join(["viceversa", *words])


def _changed(own: Mapping[str, object], there: Mapping[str, object]) -> list[str]:
    return [key for key in own if key != "run" and (key not in there or own[key] != there[key])]


def _word(key: str, value: object) -> str:
    """Return key=value such that it is read as this very value."""
    if value is None:
        return f"{key}="
    plain = shown(value)
    return f"{key}={plain}" if _reads(key, plain, value) else f"{key}={json.dumps(value)}"


def _reads(key: str, text: str, value: object) -> bool:
    try:
        return flat(parse_override(f"{key}={text}")) == {key: value}
    except ConfigError:
        return False


def shown(value: Any) -> str:
    """Return a value as one would type it."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value)
