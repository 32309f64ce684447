"""What a training may be told: recipes by intent, sizes and times, and the form of all options.

The form is made from the configuration's types and docstrings: a new option appears by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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
TIMES = ("5 minutes", "10 minutes", "20 minutes", "30 minutes", "1 hour", "2 hours", "4 hours", "8 hours", "12 hours")
SIZES = (0, 64, 96, 128, 192, 256)
"""Pixels; 0: what the time allows."""
SAMPLES = 20  # times that a training of so many steps shows samples
SIMPLE = {
    "generator.width": ("Detail", "Width of the network: more makes finer pictures, and each step slower."),
    "train.batch": ("Pictures at once", "In each step: more make the training steadier, and each step slower."),
    "data.flip": ("Mirror pictures, too", "Off where left and right matter, as for letters."),
}
"""The options of the simple view, beside size, time and the recipe's dial: what they are called and mean there."""


@dataclass(frozen=True)
class Recipe:
    """What somebody wants, and the preset that does it."""

    title: str
    about: str
    preset: str
    dial: tuple[str, str, str]
    """The option most worth turning: its key, what it is called, and what it does."""
    words: tuple[str, ...] = ()
    pairs: bool = False

    @property
    def simple(self) -> dict[str, tuple[str, str]]:
        """The options of the simple view."""
        key, *words = self.dial
        return {**SIMPLE, key: (words[0], words[1])}


RECIPES = {
    "style": Recipe(
        "Photos to a style",
        "Everything changes and the scene stays: photos to drawings, day to night.",
        "style",
        ("method.keep", "Faithfulness", "Lower for a greater change, higher to stay near the photo."),
    ),
    "object": Recipe(
        "Change one thing, keep the rest",
        "One thing changes wherever it is: water to wine, glasses on and off. Learns the way back, too.",
        "object",
        ("method.identity", "Faithfulness", "Above 0, such as 0.5, where colours change that should stay."),
    ),
    "pairs": Recipe(
        "Labels or sketches to photos, with pairs",
        "Every picture has its answer under the same name. The surest of the four.",
        "pairs",
        ("method.l1", "Faithfulness", "Lower for sharper pictures, higher to stay near the answers."),
        pairs=True,
    ),
    "few": Recipe(
        "Few pictures",
        "Below a hundred a side: as a style, with stronger variations of each picture.",
        "style",
        ("discriminator.strength", "Variation", "From 0 to 1: the fewer pictures, the more."),
        words=("discriminator.strength=0.6",),
    ),
}


def length_words(time: str, steps: int) -> list[str]:
    """Return the words for a training of some time, or of some steps if there are any."""
    if not steps:
        return [f"train.budget={time}"]
    every = {"log": min(50, steps // SAMPLES), "sample": min(500, steps // SAMPLES), "save": min(500, steps // 4)}
    found = [f"train.length={steps} steps", f"train.decay={steps // 2} steps"]
    return found + [f"train.{name}_every={max(1, some)} steps" for name, some in every.items()]


def size_words(size: int) -> list[str]:
    """Return the words for pictures of a size; crops are taken from slightly larger ones."""
    return [f"data.load={size * 9 // 8}", f"data.crop={size}"] if size else []


def train_words(source: str, *words: Sequence[str], changes: Mapping[str, str], run: str) -> list[str]:
    """Return the words of a training after `viceversa`; a later value of a key takes the place of an earlier one."""
    values = dict(word.partition("=")[::2] for group in words for word in group) | dict(changes)
    return ["train", source, *(f"{key}={value}" for key, value in values.items()), f"run={run}"]


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


def show_field(field: FormField, changes: dict[str, str], name: str = "", meaning: str = "") -> None:
    """Show one field, by its key or a name; what is changed goes into `changes`, what is set back leaves it."""

    def change(event: Any) -> None:
        text = "" if event.value is None else shown(event.value)
        changes.pop(field.key, None)
        if text != field.value:
            changes[field.key] = text

    value, text = changes.get(field.key, field.value), meaning or field.meaning
    with ui.element("div").classes("field"):
        if field.is_switch:
            ui.switch(name or field.key, value=value == "true", on_change=change)
        elif field.choices:
            ui.select([*field.choices], label=name or field.key, value=value, on_change=change)
        else:
            ui.input(name or field.key, value=value, on_change=change)
        tagged("small", f"{text} ({field.key})" if name else text)


def show_form(fields: Sequence[FormField], changes: dict[str, str]) -> None:
    """Show all fields by section, folded."""
    sections = dict.fromkeys(field.key.rpartition(".")[0] for field in fields)
    for section in sections:
        with ui.expansion(section or "run").classes("fold"), ui.element("div").classes("fields"):
            for field in fields:
                if field.key.rpartition(".")[0] == section:
                    show_field(field, changes)
