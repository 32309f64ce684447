"""YAML 1.2, in which 1e-4 is a number and `no` a word: read it, and write a Config with a comment above every key."""

from __future__ import annotations

import ast
import inspect
import io
import textwrap
from collections.abc import Mapping
from functools import cache
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from viceversa.config.check import SECTIONS, ConfigError, adapter
from viceversa.config.schema import Config


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
    """Return the configuration as YAML.

    `options` describes the components' options: {"generator": {"blocks": "Number of residual blocks."}}.
    """
    yaml, text = YAML(), io.StringIO()
    yaml.width = 10_000
    yaml.dump(_commented(to_tree(config), meanings(options or {})), text)
    return text.getvalue().lstrip("\n")


def meanings(options: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return what every key means, by dotted key; `options` describes the components', as in `to_yaml`."""
    found = {f"{section}.{key}": text for section, texts in options.items() for key, text in texts.items()}
    for section, cls in SECTIONS.items():
        found |= {f"{section}.{name}".lstrip("."): text for name, text in _docs(cls).items()}
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


@cache
def _docs(section: type) -> dict[str, str]:
    """Return the docstring below each attribute of a dataclass."""
    body = ast.parse(textwrap.dedent(inspect.getsource(section))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for attribute, doc in zip(body.body, body.body[1:], strict=False):
        if isinstance(attribute, ast.AnnAssign) and isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant):
            assert isinstance(attribute.target, ast.Name)
            found[attribute.target.id] = " ".join(str(doc.value.value).split())
    return found
