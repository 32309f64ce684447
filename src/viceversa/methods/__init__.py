"""Training methods: the table of contents. A new one is a file and a line here."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from viceversa import registry
from viceversa.config import Config, ConfigError
from viceversa.losses import OBJECTIVES
from viceversa.methods.base import Method, Networks
from viceversa.methods.cut import CUT
from viceversa.methods.cyclegan import CycleGAN
from viceversa.methods.cyclegan_vae import CycleGANVAE
from viceversa.methods.pix2pix import Pix2Pix
from viceversa.nets import DISCRIMINATORS, GENERATORS
from viceversa.nets.weights import load_generator

METHODS: dict[str, type[Method]] = {
    "cyclegan": CycleGAN,
    "cyclegan-vae": CycleGANVAE,
    "pix2pix": Pix2Pix,
    "cut": CUT,
}

TABLES: dict[str, registry.Table[Any]] = {
    "method": METHODS,
    "generator": GENERATORS,
    "discriminator": DISCRIMINATORS,
    "objective": OBJECTIVES,
}


def complete(config: Config) -> Config:
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
    """Raise ConfigError if the method or its networks cannot be built; takes no time and no memory."""
    with torch.device("meta"):
        build(config)


def check_pairs(config: Config, paired: bool) -> None:
    """Raise ConfigError if the method learns from pairs and the data has none."""
    name = config.method["name"]
    if registry.find(METHODS, "method", name).needs_pairs and not paired:
        raise ConfigError(
            f"method={name} learns from pairs and this data is unpaired; use method=cyclegan, or data.layout=paired "
            "when the files of both folders belong together by name"
        )


def build(config: Config) -> Method:
    """Return the configured method with freshly drawn weights; raise ConfigError for what cannot be built."""
    cls = registry.find(METHODS, "method", config.method["name"])
    options = registry.complete(METHODS, "method", config.method)
    del options["name"]
    return cls(Networks(config), **options)


def start_from(method: Method, config: Config) -> None:
    """Load the weights that `init` names into the method's translators; ConfigError if they are of other networks."""
    for direction, net in method.translators().items():
        path = getattr(config.init, direction)
        if path is None:
            continue
        trained, _ = load_generator(Path(path))
        try:
            net.load_state_dict(trained.state_dict())
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1].strip()
            raise ConfigError(f"init.{direction}={path}: is of another generator ({reason})") from None
