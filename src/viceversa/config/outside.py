"""Classes from outside the package, named as `module:Class`."""

from __future__ import annotations

import importlib
from typing import Any

from viceversa.config.schema import ConfigError


def import_class(key: str, name: str) -> Any:
    """Import what `name` stands for; raise ConfigError, which names the key, if that cannot be."""
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ConfigError(f"{key}={name}: cannot be imported ({error})") from None
