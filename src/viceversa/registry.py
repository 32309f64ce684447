"""From a name and options to an object: tables of components, and the check of options against a constructor.

A component's keyword-only arguments *are* its options: their annotations the schema, their defaults the defaults, the
"Args:" lines of the class docstring their description. So nothing is declared twice.
"""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, get_type_hints

import pydantic

from viceversa.config import ConfigError, explain, import_class, suggest
from viceversa.config.schema import frozen

T = TypeVar("T")
Table: TypeAlias = Mapping[str, type[T]]
FINITE = pydantic.ConfigDict(allow_inf_nan=False)
CONTEXT = "size", "channels"  # keyword-only, but handed in by the code that builds, never an option
TABLES = {
    "method": ("methods", "METHODS"),
    "generator": ("nets", "GENERATORS"),
    "discriminator": ("nets", "DISCRIMINATORS"),
    "objective": ("losses", "OBJECTIVES"),
}
"""By section, the folder of its components, and what their table is called there."""


def find(table: Table[T], section: str, name: str) -> type[T]:
    """Return the class called `name` in `table`, or `module:Class`; `section` is the key that messages name.

    To import a module is to run it, so a file, perhaps a stranger's, cannot cause it: the module must be imported
    already, which the command line does for the names typed on it. Raises ConfigError for all other names.
    """
    if name in table:
        return table[name]
    if ":" not in name:
        raise _no_component(section, name, table)
    module = name.partition(":")[0]
    if module not in sys.modules:
        raise ConfigError(
            f"{section}.name={name}: only a file names this code, so it is not run; "
            f"if you trust it: viceversa --import {shlex.quote(module)} ... (in Python: import {module})"
        )
    found: type[T] = import_class(f"{section}.name", name)
    first, *others = table.values()
    base = next(base for base in first.__mro__ if all(issubclass(cls, base) for cls in others))
    if not inspect.isclass(found) or not issubclass(found, base):
        raise ConfigError(f"{section}.name={name}: must be a subclass of {base.__module__}.{base.__name__}")
    return found


def options(cls: type) -> dict[str, tuple[Any, Any]]:
    """Return a constructor's options: name -> (annotation, default)."""
    hints = get_type_hints(inspect.getattr_static(cls, "__init__"), include_extras=True)
    parameters = inspect.signature(cls).parameters.values()
    return {
        p.name: (hints.get(p.name, Any), ... if p.default is p.empty else p.default)
        for p in parameters
        if p.kind is p.KEYWORD_ONLY and p.name not in CONTEXT
    }


def complete(table: Table[T], section: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the component's description with every option spelled out; raise ConfigError for what is wrong."""
    if not isinstance(spec.get("name"), str):
        raise ConfigError(f"{section}.name: missing; known: {', '.join(table)}")
    cls = find(table, section, spec["name"])
    known = options(cls)
    _refuse_others(section, spec, known)
    values = {key: _value(f"{section}.{key}", kind, spec.get(key, default)) for key, (kind, default) in known.items()}
    return {"name": spec["name"], **values}


def refuse_misspelt(section: str, spec: Mapping[str, Any]) -> None:
    """Raise ConfigError for a name or option that no component of ours has, as their source, not imported, says."""
    folder, table = TABLES[section]
    files = (Path(__file__).parent / folder).glob("*.py")
    nodes = [node for file in files for node in ast.parse(file.read_text("utf-8")).body]
    classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
    source = next(node for node in nodes if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == table)
    named = dict(re.findall(r"'([\w-]+)': (\w+)", ast.unparse(source)))
    if spec["name"] in named:
        _refuse_others(section, spec, _keyword_only(named[spec["name"]], classes))
    elif ":" not in spec["name"]:
        raise _no_component(section, spec["name"], named)


def _keyword_only(name: str, classes: Mapping[str, ast.ClassDef]) -> list[str]:
    """Return the keyword-only arguments of a class's constructor, which may be inherited."""
    cls = classes[name]
    for node in cls.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return [argument.arg for argument in node.args.kwonlyargs if argument.arg not in CONTEXT]
    bases = [ast.unparse(base) for base in cls.bases]
    return next((_keyword_only(base, classes) for base in bases if base in classes), [])


def _no_component(section: str, name: str, known: Iterable[str]) -> ConfigError:
    return ConfigError(f"{section}.name: there is no {section} {name!r}{suggest(name, known)}")


def _refuse_others(section: str, spec: Mapping[str, Any], known: Iterable[str]) -> None:
    for key in spec:
        if key != "name" and key not in known:
            raise ConfigError(f"{section}.{key}: {spec['name']} has no such option{suggest(str(key), known)}")


def create(table: Table[T], section: str, spec: Mapping[str, Any], *args: Any, **context: Any) -> T:
    """Return the component that a complete description stands for, made of `args` and its options.

    `context` is handed to classes that ask for it: `size` (pixels) to those that are tied to one, `channels` (of each
    image that is joined) to those that look at images apart. Raises ConfigError for options that do not fit together.
    """
    cls = find(table, section, spec["name"])
    chosen = {key: value for key, value in spec.items() if key != "name"}
    known = inspect.signature(cls).parameters
    try:
        return cls(*args, **chosen, **{name: value for name, value in context.items() if name in known})
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"{section}: {error}") from None


def _value(key: str, kind: Any, value: Any) -> Any:
    """Return the value of an option, checked against its annotation."""
    if value is ...:
        raise ConfigError(f"{key}: missing, it has no default")
    try:
        return frozen(pydantic.TypeAdapter(kind, config=FINITE).validate_python(value))
    except pydantic.ValidationError as error:
        raise ConfigError(explain(error.errors()[0], key)) from None


def descriptions(cls: type) -> dict[str, str]:
    """Return the "Args:" lines of a class docstring by option; inherited options are described by the base."""
    known, found = options(cls), dict[str, str]()
    for base in reversed(cls.__mro__):
        _, _, text = inspect.cleandoc(base.__dict__.get("__doc__") or "").partition("Args:\n")
        block = re.split(r"\n(?=\S)", text)[0]
        lines = re.findall(r"^ {4}(\w+): ((?:.+|\n {5,})+)", block, re.M)
        found |= {name: " ".join(line.split()) for name, line in lines if base is cls or name in known}
    return found
