"""Training methods: the table of contents. A new one is a file and a line here."""

from __future__ import annotations

import dataclasses
import json
import logging
import shlex
from pathlib import Path
from typing import Any, get_args

import torch
from torch import nn

from viceversa import registry
from viceversa.config import Config, ConfigError, Direction
from viceversa.losses import OBJECTIVES
from viceversa.methods.base import Method, Networks
from viceversa.methods.cut import CUT
from viceversa.methods.cyclegan import CycleGAN
from viceversa.methods.cyclegan_vae import CycleGANVAE
from viceversa.methods.distillation import Distillation
from viceversa.methods.onesided import OneSided
from viceversa.methods.pix2pix import Pix2Pix
from viceversa.nets import DISCRIMINATORS, GENERATORS
from viceversa.nets.weights import Card, load_generator
from viceversa.paths import weights_file

log = logging.getLogger("viceversa")

METHODS: dict[str, type[Method]] = {
    "cyclegan": CycleGAN,
    "cyclegan-vae": CycleGANVAE,
    "pix2pix": Pix2Pix,
    "cut": CUT,
    "onesided": OneSided,
    "distillation": Distillation,
}

TABLES: dict[str, registry.Table[Any]] = {
    "method": METHODS,
    "generator": GENERATORS,
    "discriminator": DISCRIMINATORS,
    "objective": OBJECTIVES,
}


def resolve(config: Config) -> Config:
    """Return the configuration with every option of every component checked and spelled out."""
    specs: dict[str, Any] = {
        section: registry.complete(table, section, getattr(config, section)) for section, table in TABLES.items()
    }
    return dataclasses.replace(config, **specs)


def describe(config: Config) -> dict[str, dict[str, str]]:
    """Return what each option of the configured components means, by section and option."""
    return {
        section: registry.descriptions(registry.find(table, section, getattr(config, section)["name"]))
        for section, table in TABLES.items()
    }


def check(config: Config) -> None:
    """Raise ConfigError if the method cannot be built; warn where batch norm would learn from single images."""
    with torch.device("meta"):
        nets = build(config).translators().values()
    normalised = any(isinstance(module, nn.BatchNorm2d) for net in nets for module in net.modules())
    if normalised and config.train.batch == 1 and config.inference == "running":
        log.warning(
            "batch norm trains on single images (train.batch=1) but would translate with running statistics, which fit "
            "none of them; set inference=image, generator.norm=instance or a larger train.batch"
        )


def same_networks(one: Config, other: Config) -> bool:
    """Whether weights of one configuration fit the other; takes no time and no memory."""
    with torch.device("meta"):
        shapes, others = ({n: p.shape for n, p in build(config).named_parameters()} for config in (one, other))
        return shapes == others


def check_pairs(config: Config, paired: bool) -> None:
    """Raise ConfigError if the method learns from pairs and the data has none."""
    name = config.method["name"]
    if registry.find(METHODS, "method", name).needs_pairs and not paired:
        raise ConfigError(
            f"method={name} learns from pairs and this data is unpaired; use method=cyclegan, or data.layout=paired "
            "when the files of both folders belong together by name"
        )


def build(config: Config) -> Method:
    """Return the method of a resolved configuration, its weights freshly drawn; ConfigError if it cannot be built."""
    return registry.create(METHODS, "method", config.method, Networks(config))


def start_from(method: Method, config: Config) -> None:
    """Load the weights that `init` names into the translators; ConfigError, with the remedy, if they do not fit."""
    translators = method.translators()
    for direction in get_args(Direction):
        path = getattr(config.init, direction)
        if path is None:
            continue
        key = f"init.{direction}={path}"
        if direction not in translators:
            raise ConfigError(f"{key}: this method only translates {' and '.join(translators)}; omit it")
        trained, card = load_generator(weights_file(Path(path), direction))
        differs = _differences(config, card, direction)
        if not differs:
            try:
                translators[direction].load_state_dict(trained.state_dict())
                continue
            except RuntimeError:  # of a network that is tied to one size
                differs = {"data.crop": card.size, "data.load": max(card.size, config.data.load)}
        typed = {name: value if isinstance(value, str) else json.dumps(value) for name, value in differs.items()}
        remedy = " ".join(shlex.quote(f"{name}={value}") for name, value in typed.items())
        raise ConfigError(f"{key}: is of another generator; set {remedy}")


def _differences(config: Config, card: Card, direction: str) -> dict[str, Any]:
    """Return the keys, and their values, by which a configuration describes another generator than a card does."""
    given = {name: value for name, value in card.generator.items() if name != "dropout"}
    differs = {name: value for name, value in given.items() if config.generator.get(name) != value}
    keys = {"generator" if name == "name" else f"generator.{name}": value for name, value in differs.items()}
    for domain, channels in zip(direction.lower().split("to"), (card.in_channels, card.out_channels), strict=True):
        if getattr(config.data, f"channels_{domain}") != channels:
            keys[f"data.channels_{domain}"] = channels
    return keys
