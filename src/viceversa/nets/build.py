"""From a description in the configuration to a network."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

from viceversa import registry
from viceversa.config import ConfigError
from viceversa.nets import DISCRIMINATORS, GENERATORS
from viceversa.nets.base import Discriminator, Generator

Net = TypeVar("Net", Generator, Discriminator)


def build_generator(spec: Mapping[str, Any], in_channels: int, out_channels: int, *, size: int) -> Generator:
    """Return the generator that `spec`, checked already, describes; `size` (pixels) is used by networks tied to one.

    Raises ConfigError for options that do not fit together.
    """
    cls, options = _resolved(GENERATORS, "generator", spec, size)
    try:
        return cls(in_channels, out_channels, **options)
    except ValueError as error:
        raise ConfigError(f"generator: {error}") from None


def build_discriminator(spec: Mapping[str, Any], channels: int, *, size: int) -> Discriminator:
    """Return the discriminator that `spec` describes, of images with `channels` channels and `size` pixels."""
    cls, options = _resolved(DISCRIMINATORS, "discriminator", spec, size)
    try:
        return cls(channels, **options)
    except ValueError as error:
        raise ConfigError(f"discriminator: {error}") from None


def _resolved(
    table: registry.Table[Net], section: str, spec: Mapping[str, Any], size: int
) -> tuple[type[Net], dict[str, Any]]:
    """Return a network's class and all its arguments; the image size among them if it wants to know."""
    options = {key: value for key, value in spec.items() if key != "name"}
    cls = registry.find(table, section, spec["name"])
    if registry.CONTEXT in inspect.signature(cls).parameters:
        options[registry.CONTEXT] = size
    return cls, options
