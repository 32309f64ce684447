"""The reference: every key, command and public name, as the code describes them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from typer.main import get_command

from viceversa import registry
from viceversa.cli import program
from viceversa.config import Config, may_change, meanings, to_tree
from viceversa.methods import TABLES

SECTIONS = {"data": "Data", "data.augment": "Augmentation", "train": "Training", "init": "First weights"}
PUBLIC = {
    "Use": ["viceversa.load", "viceversa.Translator", "viceversa.load_network"],
    "Train": ["viceversa.load_config", "viceversa.train", "viceversa.Config"],
    "Extend": [
        "viceversa.methods.base.Update",
        "viceversa.methods.base.Method",
        "viceversa.methods.base.Networks",
        "viceversa.nets.base.Generator",
        "viceversa.nets.base.Discriminator",
        "viceversa.losses.Objective",
    ],
}


def write(folder: Path) -> None:
    """Write the pages; those that have not changed are left alone, so that Sphinx need not read them again."""
    folder.mkdir(exist_ok=True)
    for name, text in {"configuration": configuration(), "command-line": command_line(), "python": python()}.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table."""
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def literal(value: object) -> str:
    """Return a value as YAML would spell it, as code."""
    words = {None: "null", True: "true", False: "false"}
    text = words[value] if value is None or isinstance(value, bool) else value
    return f"`{', '.join(map(str, text))}`" if isinstance(text, (list, tuple)) else f"`{text}`" if text != "" else ""


def prose(text: str) -> str:
    """Return a docstring's sentence with what Markdown would take for its own escaped."""
    return re.sub(r"([<>*_\[\]$])", r"\\\1", text)


def configuration() -> str:
    """Every key, its default and its meaning, read off the configuration's classes and the components' constructors."""
    said, defaults = meanings({}), to_tree(Config())
    page = (
        "# Configuration\n\nEvery key, set as `key=value` on the command line or in a YAML file. `viceversa config`\n"
    )
    page += "prints those of a preset with their values. Keys with a star may change when a run continues.\n\n"
    page += "## The run\n\n"
    page += keys("", {k: v for k, v in defaults.items() if not isinstance(v, dict)}, said)
    for section, title in SECTIONS.items():
        values: Any = defaults
        for part in section.split("."):
            values = values[part]
        page += f"\n## {title}\n\n{said.get(section, '')}\n\n"
        page += keys(f"{section}.", {k: v for k, v in values.items() if not isinstance(v, dict)}, said)
    return page + "".join(component(section, classes) for section, classes in TABLES.items())


def keys(prefix: str, values: Mapping[str, object], said: Mapping[str, str]) -> str:
    """Return a table of keys of one section."""
    rows = []
    for name, value in values.items():
        key = prefix + name
        rows.append((f"`{key}`{' *' if may_change(key) else ''}", literal(value), prose(said[key])))
    return table(["key", "default", "meaning"], rows)


def component(section: str, classes: Mapping[str, type]) -> str:
    """Return the choices for one component, each with its options."""
    page = f"\n## {section.capitalize()}\n"
    for name, cls in classes.items():
        page += f"\n### {section}={name}\n\n{prose(first_line(cls))}\n\n"
        said = registry.descriptions(cls)
        rows = [
            (f"`{section}.{key}`", "required" if default is ... else literal(default), prose(said.get(key, "")))
            for key, (_, default) in registry.options(cls).items()
        ]
        page += table(["key", "default", "meaning"], rows) if rows else ""
    return page


def first_line(thing: object) -> str:
    """Return the first paragraph of a docstring on one line."""
    return " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())


def command_line() -> str:
    """Every command's help text, as the terminal shows it."""
    page = "# Command line\n\nWhat `viceversa COMMAND --help` prints.\n"
    for path, command in commands(get_command(program()), "viceversa"):
        with command.make_context(path, [], resilient_parsing=True, max_content_width=100) as context:
            context.info_name, context.parent = path, None
            page += f"\n## {path}\n\n```text\n{command.get_help(context)}\n```\n"
    return page


def commands(command: Any, path: str) -> Iterable[tuple[str, Any]]:
    """Return a command and all below it, each with the words that call it."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, f"{path} {name}")


def python() -> str:
    """The public names, by autodoc."""
    page = "# Python\n"
    for title, names in PUBLIC.items():
        page += f"\n## {title}\n"
        for name in names:
            module, _, attribute = name.rpartition(".")
            found = getattr(__import__(module, fromlist=[attribute]), attribute)
            kind = "class" if inspect.isclass(found) else "function"
            page += f"\n```{{eval-rst}}\n.. auto{kind}:: {name}\n```\n"
    return page
