"""The form of all options, made from the configuration's types and docstrings: a new option appears by itself."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui
from pydantic import TypeAdapter

from viceversa.config import COMPONENTS, Config, flat, load_config, meanings, to_tree
from viceversa.config.check import keys
from viceversa.report import shown
from viceversa.studio.frame import tagged

ELSEWHERE = {"run", "data.root", "data.manifest", "data.a", "data.b", "train.budget", "train.length", "train.decay"}
"""Keys that the page sets in another way."""


@dataclass(frozen=True)
class FormField:
    """One key of the configuration: what it is, means and may be."""

    key: str
    value: str
    meaning: str
    choices: tuple[str, ...] = ()
    is_switch: bool = False


def form_fields(source: str, words: Sequence[str], without: Collection[str] = ELSEWHERE) -> list[FormField]:
    """Return the fields for a preset or run with some values changed; ConfigError for what cannot be."""
    from viceversa import methods, registry

    config: Config = methods.resolve(load_config(source, words))
    kinds: dict[str, Any] = keys()
    for section in COMPONENTS:
        table = methods.TABLES[section]
        options = registry.options(registry.find(table, section, getattr(config, section)["name"]))
        kinds = {**kinds, **{f"{section}.{name}": kind for name, (kind, _) in options.items()}}
    names = {f"{section}.name": tuple(table) for section, table in methods.TABLES.items()}
    values, meaning = flat(to_tree(config)), meanings(methods.describe(config))
    found = []
    for key, value in values.items():
        if key not in without:
            schema = TypeAdapter(kinds[key]).json_schema() if key in kinds else {}
            choices, text = names.get(key) or _choices(schema), meaning.get(key, "")
            found.append(FormField(key, shown(value), text, choices, schema.get("type") == "boolean"))
    return found


def _choices(schema: dict[str, Any]) -> tuple[str, ...]:
    """Return the values that a JSON schema allows, as one types them; none if they cannot be listed."""
    if "enum" in schema or "const" in schema:
        return tuple(map(shown, schema.get("enum", [schema.get("const")])))
    if schema.get("type") == "boolean":
        return ("true", "false")
    parts = [_choices(part) for part in schema.get("anyOf", [])]
    return tuple(value for part in parts for value in part) if parts and all(parts) else ()


def show_field(field: FormField, changes: dict[str, str], name: str = "") -> None:
    """Show one field; what is changed goes into `changes`, what is set back leaves it. `name`: instead of its key."""

    def change(value: Any) -> None:
        text = "" if value is None else shown(value)
        changes.pop(field.key, None)
        if text != field.value:
            changes[field.key] = text

    value, name = changes.get(field.key, field.value), name or field.key
    with ui.element("div").classes("field"):
        if field.is_switch:
            ui.switch(name, value=value == "true", on_change=lambda event: change(event.value))
        elif field.choices:
            ui.select([*field.choices], label=name, value=value, on_change=lambda event: change(event.value))
        else:
            ui.input(name, value=value, on_change=lambda event: change(event.value))
        tagged("small", f"{field.meaning} ({field.key})" if name != field.key else field.meaning)


def show_form(fields: Sequence[FormField], changes: dict[str, str]) -> None:
    """Show all fields by section, folded."""
    sections = dict.fromkeys(field.key.rpartition(".")[0] for field in fields)
    for section in sections:
        with ui.expansion(section or "run").classes("fold"), ui.element("div").classes("fields"):
            for field in fields:
                if field.key.rpartition(".")[0] == section:
                    show_field(field, changes)
