"""What a run is made of: frozen dataclasses, read from presets, YAML files and `key=value` words.

Values come, later ones winning, from the defaults here, a preset, a YAML 1.2 file, and `key=value` overrides. The
attribute docstrings are the only description of an option: `viceversa config` and the documentation print them.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import io
import math
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import pydantic
from pydantic import BeforeValidator, Field, PlainSerializer
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

Direction: TypeAlias = Literal["AtoB", "BtoA"]
Inference: TypeAlias = Literal["running", "image", "original"]
CLOSED = {"extra": "forbid"}  # pydantic: a key we do not know is an error, never ignored


class ConfigError(ValueError):
    """A configuration that cannot be used; the message is one line that names the key and the remedy."""


@dataclass(frozen=True)
class Duration:
    """A length of training: a number of epochs or of steps (one step is one batch)."""

    amount: int
    unit: Literal["epochs", "steps"]

    @classmethod
    def parse(cls, text: object) -> Duration:
        """Read `"200 epochs"` or `"5000 steps"`; raise ValueError for anything else."""
        if isinstance(text, Duration):
            return text
        match = re.fullmatch(r"\s*([\d_]+)\s*(epoch|step)s?\s*", str(text))
        if not match:
            raise ValueError(f'{text!r} is not a duration; write "200 epochs" or "5000 steps"')
        return cls(int(match[1]), "epochs" if match[2] == "epoch" else "steps")

    def steps(self, steps_per_epoch: int) -> int:
        """Return the same length in steps."""
        return self.amount * (steps_per_epoch if self.unit == "epochs" else 1)

    def __str__(self) -> str:
        return f"{self.amount} {self.unit if self.amount != 1 else self.unit[:-1]}"


def _component(value: object) -> object:
    """Let `generator: unet` stand for `generator: {name: unet}`."""
    return {"name": value} if isinstance(value, str) else value


Span = Annotated[Duration, BeforeValidator(Duration.parse), PlainSerializer(str)]
Component = Annotated[dict[str, Any], BeforeValidator(_component)]


@dataclass(frozen=True)
class InitConfig:
    """How weights are drawn before training."""

    __pydantic_config__ = CLOSED

    scheme: Literal["normal", "xavier", "kaiming", "orthogonal"] = "normal"
    """Distribution of the convolutions' first weights."""
    gain: Annotated[float, Field(gt=0)] = 0.02
    """Standard deviation (normal) or gain (xavier, orthogonal); kaiming does not use it."""


@dataclass(frozen=True)
class DataConfig:
    """Where the pictures are and how they are prepared."""

    __pydantic_config__ = CLOSED

    root: str | None = None
    """Folder of the data set. Its layout is recognised: trainA/ trainB/, train/A train/B, side-by-side files, ..."""
    a: str | None = None
    """Any folder with the pictures of world A (instead of root)."""
    b: str | None = None
    """Any folder with the pictures of world B (instead of root)."""
    layout: Literal["auto", "unpaired", "aligned", "paired"] = "auto"
    """auto, or insist on: unpaired folders, aligned (A|B side by side in one file), paired (two folders, same names)."""
    paired_test: bool = False
    """Unpaired data only: testA and testB show the same scenes under the same names, so the true answer is known."""
    test_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Part of the pictures held out for testing (by a hash of the name) when the data has no test split."""
    resize: Literal["stretch", "short_side", "none"] = "stretch"
    """stretch to load x load as the originals do, bring the short side to load, or leave the size alone."""
    load: Annotated[int, Field(ge=1)] = 286
    """Pixels that pictures are resized to before the crop."""
    crop: Annotated[int, Field(ge=1)] = 256
    """Pixels of the random square crop that the networks see."""
    flip: bool = True
    """Mirror left and right at random, half of the time."""
    channels_a: Annotated[int, Field(ge=1)] = 3
    """Channels of world A: 1 gray, 3 RGB, 4 RGBA."""
    channels_b: Annotated[int, Field(ge=1)] = 3
    """Channels of world B."""
    workers: Annotated[int, Field(ge=0)] = 1
    """Background processes that read pictures; 0 reads in the training process. Never changes a result."""


@dataclass(frozen=True)
class TrainConfig:
    """How long, how fast and how exactly to train."""

    __pydantic_config__ = CLOSED

    length: Span = Duration(200, "epochs")
    """All of the training. An epoch passes once over the larger world."""
    decay: Span = Duration(100, "epochs")
    """The last part of it, during which the learning rate falls."""
    batch: Annotated[int, Field(ge=1)] = 1
    """Pictures of each world per step and process."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """adam as in the papers; plain sgd serves proofs of parity."""
    lr: Annotated[float, Field(gt=0)] = 2e-4
    """Learning rate."""
    betas: Annotated[tuple[float, float], PlainSerializer(list)] = (0.5, 0.999)
    """Adam's decay rates of the first and second moment."""
    schedule: Literal["linear", "cosine", "step", "constant"] = "linear"
    """How the learning rate falls during decay: linear to zero, cosine to zero, step to a tenth at once, or not."""
    precision: Literal["fp32", "bf16", "fp16", "fp64"] = "fp32"
    """fp32; bf16 or fp16 by autocast (fp16 with gradient scaling); fp64 for proofs."""
    channels_last: bool = False
    """Keep images as (B, H, W, C) in memory: faster with bf16 or fp16, the same mathematics."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay of the exponential moving average of the translators; 0 turns it off."""
    device: str = "auto"
    """auto takes the first of cuda, mps, cpu that is there."""
    save_every: Span = Duration(1, "epochs")
    """Time between checkpoints."""
    keep: Annotated[int, Field(ge=1)] = 3
    """Checkpoints kept; older ones are deleted."""
    sample_every: Span = Duration(1, "epochs")
    """Time between sample grids."""
    samples: Annotated[int, Field(ge=1)] = 6
    """Test pictures shown in a sample grid."""
    log_every: Span = Duration(100, "steps")
    """Time between lines of log.jsonl; losses are averaged over it."""


@dataclass(frozen=True)
class Config:
    """Everything that determines a run."""

    __pydantic_config__ = CLOSED

    run: str = ""
    """Folder of the run; empty makes it runs/METHOD-DATA."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Decides first weights, order of the data, crops, flips, dropout and pools."""
    method: Component = field(default_factory=lambda: {"name": "cyclegan"})
    """The training method and its options."""
    generator: Component = field(default_factory=lambda: {"name": "resnet"})
    """The network that translates, and its options."""
    discriminator: Component = field(default_factory=lambda: {"name": "patchgan"})
    """The network that judges, and its options."""
    objective: Component = field(default_factory=lambda: {"name": "lsgan"})
    """The adversarial loss and its options."""
    init: InitConfig = InitConfig()
    """First weights."""
    inference: Inference = "running"
    """How networks with batch norm or dropout translate. running: with the statistics gathered in training; image: each
    picture with its own statistics; original: as image, with dropout on, as the pix2pix authors test."""
    data: DataConfig = DataConfig()
    """The pictures."""
    train: TrainConfig = TrainConfig()
    """The training."""


DEFAULT_PRESET = "cyclegan"
COMPONENTS = ("method", "generator", "discriminator", "objective")


def presets() -> dict[str, Traversable]:
    """Return the built-in presets' files by name."""
    files = (resources.files("viceversa") / "presets").iterdir()
    return {f.name.removesuffix(".yaml"): f for f in sorted(files, key=lambda f: f.name) if f.name.endswith(".yaml")}


def load_config(source: str | Path | None = None, overrides: Iterable[str] = ()) -> Config:
    """Read a preset (by name) or a YAML file, apply `key=value` overrides, and check everything that can be checked.

    Raises ConfigError for an unknown preset, file, key or value, and for values that do not go together.
    """
    tree = to_tree(Config())
    if source is not None:
        tree = merge(tree, _read_source(str(source)))
    for word in overrides:
        tree = merge(tree, _parse_override(word))
    return validate(tree)


def load_words(words: Sequence[str]) -> Config:
    """Read what was typed after a command: a preset or file, unless the first word is an override, then overrides."""
    named = bool(words) and "=" not in words[0]
    source = words[0] if named else DEFAULT_PRESET
    return default_run(load_config(source, words[named:]), Path(source).stem)


def default_run(config: Config, name: str) -> Config:
    """Return the configuration with its run folder named, if it is not and the data is known: runs/NAME-DATA."""
    data = config.data
    if config.run or not (data.root or (data.a and data.b)):
        return config
    folder = Path(data.root).resolve().name if data.root else f"{Path(data.a or '').name}-{Path(data.b or '').name}"
    return dataclasses.replace(config, run=f"runs/{name}-{folder}")


def preset_text(name: str) -> str:
    """Return a preset as it stands; raise ConfigError for an unknown name."""
    if name not in presets():
        raise ConfigError(f"{name}: there is no such preset{suggest(name, presets())}")
    return presets()[name].read_text("utf-8")


def _read_source(source: str) -> dict[str, Any]:
    known = presets()
    if source in known:
        return parse_yaml(known[source].read_text("utf-8"), f"preset {source}")
    path = Path(source)
    if path.is_dir() and (path / "config.yaml").is_file():
        path = path / "config.yaml"
    if path.is_file():
        try:
            return parse_yaml(path.read_text("utf-8"), source)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{source}: cannot be read ({error})") from None
    raise ConfigError(f"{source}: neither a preset nor a YAML file{suggest(source, known)}")


def parse_yaml(text: str, name: str) -> dict[str, Any]:
    """Parse YAML 1.2 that must hold a mapping; `name` is used in the message of the ConfigError."""
    try:
        tree = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}" if place else ""
        raise ConfigError(f"{name}{line}: not valid YAML ({getattr(error, 'problem', None) or error})") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{name}: expected `key: value` lines, found {type(tree).__name__}")
    return tree


def _parse_override(word: str) -> dict[str, Any]:
    key, equals, text = word.partition("=")
    if not equals or not key:
        raise ConfigError(f"{word}: expected key=value, such as data.root=datasets/horse2zebra")
    try:
        value = YAML(typ="safe", pure=True).load(text) if text else None
    except (YAMLError, ValueError, RecursionError):
        value = text  # a path such as `C:\a: b` is a string, whatever YAML thinks of it
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return `old` with the values of `new` in it; naming another component drops the old component's options."""
    result = dict(old)
    for key, value in new.items():
        before = result.get(key)
        if key in COMPONENTS:
            before, value = _component(before), _component(value)
        replaced = isinstance(value, Mapping) and isinstance(before, Mapping) and "name" in value
        if replaced and key in COMPONENTS and value["name"] != before.get("name"):
            before = None
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        result[key] = merge(before, value) if both else value
    return result


def validate(tree: Mapping[str, Any]) -> Config:
    """Return the Config that a tree of plain values describes; raise ConfigError, which names the first wrong key."""
    try:
        config = pydantic.TypeAdapter(Config).validate_python(dict(tree))
    except pydantic.ValidationError as error:
        raise ConfigError(explain(error.errors()[0])) from None
    _check(config)
    return config


def explain(error: Any, prefix: str = "", known: Iterable[str] = ()) -> str:
    """Say one pydantic error in one line; `prefix` and `known` serve component options."""
    place = [str(part) for part in error["loc"]]
    key = ".".join([prefix, *place] if prefix else place)
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        names = known or _names_beside(place)
        return f"{key}: no such key{suggest(place[-1], names)}"
    message = error["msg"].removeprefix("Value error, ")
    given = "" if error["type"] == "value_error" else f", not {error['input']!r}"
    return f"{key}: {message[0].lower() + message[1:]}{given}"


def _names_beside(place: list[str]) -> list[str]:
    section = {"init": InitConfig, "data": DataConfig, "train": TrainConfig}.get(place[0] if len(place) > 1 else "")
    return [f.name for f in dataclasses.fields(section or Config)]


def suggest(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean X?`, or the list of known names."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(names)}"


def _check(config: Config) -> None:
    """Refuse values that are each fine and together impossible."""
    data, train = config.data, config.train
    if data.resize != "none" and data.crop > data.load:
        raise ConfigError(f"data.crop={data.crop} is larger than data.load={data.load}; raise load or lower crop")
    if (data.a is None) != (data.b is None):
        raise ConfigError("data.a and data.b go together: give both folders, or data.root alone")
    if data.root is not None and data.a is not None:
        raise ConfigError("data.root and data.a/data.b exclude each other: give one or the other")
    if not all(math.isfinite(x) for x in (train.lr, config.init.gain)):
        raise ConfigError("train.lr and init.gain must be finite numbers")
    if not all(0 <= beta < 1 for beta in train.betas):
        raise ConfigError(f"train.betas={list(train.betas)}: both must lie in [0, 1)")
    if train.length.amount == 0:
        raise ConfigError('train.length: must be at least "1 step"')
    for name in ("save_every", "sample_every", "log_every"):
        if getattr(train, name).amount == 0:
            raise ConfigError(f'train.{name}: must be at least "1 step"')
    if train.decay.unit == train.length.unit and train.decay.amount > train.length.amount:
        raise ConfigError(f'train.decay="{train.decay}" is longer than train.length="{train.length}"; lower decay')


def to_tree(config: Config) -> dict[str, Any]:
    """Return the configuration as plain values that YAML and JSON can hold."""
    tree: dict[str, Any] = pydantic.TypeAdapter(Config).dump_python(config)
    return tree


def to_yaml(config: Config, options: Mapping[str, Mapping[str, str]] | None = None) -> str:
    """Return the configuration as YAML with a comment above every key.

    `options` describes the components' options: {"generator": {"blocks": "Number of residual blocks."}}.
    """
    tree = CommentedMap()
    for key, value in to_tree(config).items():
        tree[key] = CommentedMap(value) if isinstance(value, dict) else value
        tree.yaml_set_comment_before_after_key(key, before="\n" + _docs(Config)[key])
        if not isinstance(value, dict):
            continue
        section = getattr(config, key)
        docs = _docs(type(section)) if dataclasses.is_dataclass(section) else (options or {}).get(key, {})
        for name in value:
            if name in docs:
                tree[key].yaml_set_comment_before_after_key(name, before=docs[name], indent=2)
    yaml, text = YAML(), io.StringIO()
    yaml.default_flow_style = False
    yaml.width = 10_000
    yaml.dump(tree, text)
    return text.getvalue().lstrip("\n")


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
