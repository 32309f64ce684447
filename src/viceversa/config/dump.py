"""From a Config to plain values, and to YAML with a comment above every key."""

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

from viceversa.config.schema import SECTIONS, Config, adapter


def to_tree(config: Config) -> dict[str, Any]:
    """Return the configuration as plain values that YAML and JSON can hold."""
    tree: dict[str, Any] = adapter().dump_python(config, mode="json")
    return tree


def to_yaml(config: Config, options: Mapping[str, Mapping[str, str]] | None = None) -> str:
    """Return the configuration as YAML with a comment above every key.

    `options` describes the components' options: {"generator": {"blocks": "Number of residual blocks."}}.
    """
    yaml, text = YAML(), io.StringIO()
    yaml.default_flow_style = False
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
        found[name] = _commented(value, meaning, f"{key}.") if isinstance(value, dict) else _quoted(value)
        if key in meaning:
            comment = meaning[key] if prefix else "\n" + meaning[key]
            found.yaml_set_comment_before_after_key(name, before=comment, indent=2 * prefix.count("."))
    return found


def _quoted(value: Any) -> Any:
    """Ask for quotes around text with odd characters, some of which ruamel would otherwise write as plain line ends."""
    if isinstance(value, list):
        return [_quoted(inner) for inner in value]
    return DoubleQuotedScalarString(value) if isinstance(value, str) and not value.isprintable() else value


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
