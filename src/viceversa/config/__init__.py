"""The configuration of a run: frozen dataclasses, read from presets, YAML files and `key=value` words.

Values come, later ones winning, from the defaults in `schema`, a preset, a YAML 1.2 file, and `key=value` overrides.
"""

from .check import explain, validate
from .dump import flat, meanings, to_tree, to_yaml
from .load import copy_preset, default_run, load_config, load_words, parse_override, preset_text, preset_titles, presets
from .schema import (
    COMPONENTS,
    AugmentConfig,
    Config,
    ConfigError,
    DataConfig,
    Direction,
    Duration,
    Inference,
    TrainConfig,
    may_change,
)

__all__ = ["COMPONENTS", "AugmentConfig", "Config", "ConfigError", "DataConfig", "Direction", "Duration", "Inference"]
__all__ += ["TrainConfig", "copy_preset", "default_run", "explain", "flat", "load_config", "load_words", "may_change"]
__all__ += ["meanings", "parse_override", "preset_text", "preset_titles", "presets", "to_tree", "to_yaml", "validate"]
