"""Whether a configuration can be used, and if not, one line that says why and what helps."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, Any, get_origin, get_type_hints

import pydantic

from viceversa.config.schema import MAY_CHANGE, AugmentConfig, Config, DataConfig, InitConfig, TrainConfig

COMPONENTS = ("method", "generator", "discriminator", "objective")
SECTIONS: dict[str, type] = {
    "": Config,
    "init": InitConfig,
    "data": DataConfig,
    "data.augment": AugmentConfig,
    "train": TrainConfig,
}
SHOWN = 60  # characters of a wrong value
WORDS = {
    "dataclass_type": "a section of keys",
    "dict_type": "a name, or a section of options",
    "missing": "missing",
    "int_parsing_size": "should be a smaller number",
}


class ConfigError(ValueError):
    """A configuration that cannot be used; the message is one line that names the key and the remedy."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))


@cache
def keys() -> dict[str, Any]:
    """Return the type of every key, by dotted key; the components' options are their classes' business."""
    return {
        f"{section}.{name}".lstrip("."): kind
        for section, cls in SECTIONS.items()
        for name, kind in get_type_hints(cls, include_extras=True).items()
    }


def may_change(key: str) -> bool:
    """Return whether the value of a key may differ when a run is continued."""
    return MAY_CHANGE in getattr(keys().get(key), "__metadata__", ())


def is_text(key: str) -> bool:
    """Return whether the value of a key is text as it was typed: a folder may be called 001, no, or C:\\data."""
    kind: Any = keys().get(key)
    return (kind.__origin__ if get_origin(kind) is Annotated else kind) in (str, str | None)


@cache
def adapter() -> pydantic.TypeAdapter[Config]:
    """Return what checks a Config and turns it into plain values; making it takes longer than using it."""
    return pydantic.TypeAdapter(Config)


def validate(tree: Mapping[str, Any]) -> Config:
    """Return the Config that a tree of plain values describes; raise ConfigError, which names the first wrong key."""
    try:
        config = adapter().validate_python(dict(tree))
    except pydantic.ValidationError as error:
        raise ConfigError(explain(error.errors()[0])) from None
    except RecursionError:
        raise ConfigError("a value contains itself; write it out without YAML aliases") from None
    for section in COMPONENTS:
        name = getattr(config, section).get("name")
        if not isinstance(name, str):
            raise ConfigError(f"{section}.name: should be a name, not {name!r}")
    _check_data(config.data)
    _check_train(config.train)
    return config


def explain(error: Any, *prefix: str) -> str:
    """Say one pydantic error in one line; its key is `prefix` and where in the value the error lies."""
    place = [*prefix, *(str(part) for part in error["loc"])]
    key = ".".join(place)
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{key}: no such key{_neighbours(place)}"
    if error["type"] == "value_error":
        return f"{key}: {error['msg'].removeprefix('Value error, ')}"
    message = error["msg"].removeprefix("Input ").split(", unable to")[0].split(", got ")[0]
    given = repr(error["input"])
    shown = given if len(given) <= SHOWN else given[: SHOWN - 3] + "..."
    return f"{key}: {WORDS.get(error['type'], message)}, not {shown}"


def _neighbours(place: list[str]) -> str:
    """Suggest a key of the same section, or the same key of another section."""
    *section, name = place
    elsewhere = [key for key in keys() if key.endswith(f".{name}")]
    if not section and elsewhere:
        return f"; did you mean {elsewhere[0]}?"
    known = SECTIONS.get(".".join(section), Config)
    return suggest(name, [field.name for field in dataclasses.fields(known)])


def suggest(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean X?`, or the list of known names."""
    names = sorted(known)
    close = difflib.get_close_matches(word[:SHOWN], names, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(names) or 'none'}"


def _check_data(data: DataConfig) -> None:
    """Refuse values that are each valid and together impossible."""
    if data.resize != "none" and data.crop > data.load:
        raise ConfigError(f"data.crop={data.crop} is larger than data.load={data.load}; raise load or lower crop")
    if (data.a is None) != (data.b is None):
        raise ConfigError("data.a and data.b go together: give both folders, or data.root alone")
    if data.a is not None and data.a == data.b:
        raise ConfigError(f"data.a and data.b are the same folder, {data.a}; give one for each domain")
    if data.a is not None and (data.root is not None or data.manifest is not None):
        other = "data.root" if data.root is not None else "data.manifest"
        raise ConfigError(f"{other} and data.a/data.b exclude each other: give one or the other")
    if data.manifest is not None and data.layout not in ("auto", "manifest"):
        raise ConfigError(f"data.manifest and data.layout={data.layout} exclude each other; omit data.layout")


def _check_train(train: TrainConfig) -> None:
    for key in ("length", "save_every", "sample_every", "log_every"):
        if getattr(train, key).amount == 0:
            raise ConfigError(f'train.{key}: must be at least "1 step"')
    if train.step_every and (train.schedule != "step" or train.step_every.amount == 0):
        raise ConfigError(f'train.step_every="{train.step_every}": needs train.schedule=step and 1 step or more')
    if train.compile and train.checkpointing:
        raise ConfigError("train.compile and train.checkpointing exclude each other; set one of them to false")
    if train.decay.unit == train.length.unit and train.decay.amount > train.length.amount:
        raise ConfigError(f'train.decay="{train.decay}" is longer than train.length="{train.length}"; lower decay')
