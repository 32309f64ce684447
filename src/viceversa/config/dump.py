"""From a Config to plain values, and to YAML with a comment above every key."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import io
import textwrap
from collections.abc import Mapping
from functools import cache
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from viceversa.config.schema import COMPONENTS, Config, adapter


def to_tree(config: Config) -> dict[str, Any]:
    """Return the configuration as plain values that YAML and JSON can hold."""
    tree: dict[str, Any] = adapter().dump_python(config, mode="json")
    return tree


def to_yaml(config: Config, options: Mapping[str, Mapping[str, str]] | None = None) -> str:
    """Return the configuration as YAML with a comment above every key.

    `options` describes the components' options: {"generator": {"blocks": "Number of residual blocks."}}.
    """
    tree = CommentedMap()
    for key, value in to_tree(config).items():
        tree[key] = _quoted(value)
        tree.yaml_set_comment_before_after_key(key, before="\n" + _docs(Config)[key])
        if not isinstance(value, dict):
            continue
        section = getattr(config, key)
        docs = (options or {}).get(key, {}) if key in COMPONENTS else _section_docs(section)
        for name, inner in value.items():
            if name in docs:
                tree[key].yaml_set_comment_before_after_key(name, before=docs[name], indent=2)
            if isinstance(inner, dict) and key not in COMPONENTS:
                for option, doc in _section_docs(getattr(section, name)).items():
                    tree[key][name].yaml_set_comment_before_after_key(option, before=doc, indent=4)
    yaml, text = YAML(), io.StringIO()
    yaml.default_flow_style = False
    yaml.width = 10_000
    yaml.dump(tree, text)
    return text.getvalue().lstrip("\n")


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """Return nested values under dotted keys."""
    found: dict[str, object] = {}
    for key, value in tree.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


def meanings(config: Config, options: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return what every key means, by dotted key; `options` describes the components', as in `to_yaml`."""
    found = dict(_docs(Config))
    for section in _docs(Config):
        inner = options[section] if section in COMPONENTS else _section_docs(getattr(config, section))
        for name, doc in inner.items():
            nested = {} if section in COMPONENTS else _section_docs(getattr(getattr(config, section), name))
            found |= {f"{section}.{name}": doc} | {f"{section}.{name}.{key}": text for key, text in nested.items()}
    return found


def _section_docs(section: object) -> dict[str, str]:
    kind: type = type(section)
    return _docs(kind) if dataclasses.is_dataclass(section) else {}


def _quoted(value: Any) -> Any:
    """Ask for quotes around text with odd characters, some of which ruamel would otherwise write as plain line ends."""
    if isinstance(value, dict):
        return CommentedMap({key: _quoted(inner) for key, inner in value.items()})
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
