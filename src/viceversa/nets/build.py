"""From a description in the configuration to a network."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from viceversa import registry
from viceversa.config import ConfigError
from viceversa.nets import DISCRIMINATORS, GENERATORS
from viceversa.nets.base import Discriminator, Generator


def build_generator(spec: Mapping[str, Any], in_channels: int, out_channels: int, *, size: int) -> Generator:
    """Return the generator that `spec` describes; `size` (pixels) is used by networks tied to one image size.

    Raises ConfigError for options that do not fit.
    """
    options = registry.complete(GENERATORS, "generator", spec)
    cls = registry.find(GENERATORS, "generator", options.pop("name"))
    if registry.CONTEXT in inspect.signature(cls).parameters:
        options[registry.CONTEXT] = size
    try:
        return cls(in_channels, out_channels, **options)
    except ValueError as error:
        raise ConfigError(f"generator: {error}") from None


def build_discriminator(spec: Mapping[str, Any], channels: int) -> Discriminator:
    """Return the discriminator that `spec` describes, of images with `channels` channels."""
    options = registry.complete(DISCRIMINATORS, "discriminator", spec)
    cls = registry.find(DISCRIMINATORS, "discriminator", options.pop("name"))
    try:
        return cls(channels, **options)
    except ValueError as error:
        raise ConfigError(f"discriminator: {error}") from None
