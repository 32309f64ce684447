"""The configuration of a run: frozen dataclasses, read from presets, YAML files and `key=value` words.

Values come, later ones winning, from the defaults in `schema`, a preset, a YAML 1.2 file, and `key=value` overrides.
"""

from viceversa.config.augment import AugmentConfig
from viceversa.config.check import explain, suggest, validate
from viceversa.config.dump import flat, meanings, to_tree, to_yaml
from viceversa.config.load import default_run, import_class, load_config, load_words, merge, parse_override, parse_yaml
from viceversa.config.presets import copy_preset, preset_text, preset_titles, presets
from viceversa.config.schema import (
    CLOSED,
    COMPONENTS,
    Config,
    ConfigError,
    DataConfig,
    Direction,
    Duration,
    Inference,
    InitConfig,
    TrainConfig,
    frozen,
)

__all__ = [
    "CLOSED",
    "COMPONENTS",
    "AugmentConfig",
    "Config",
    "ConfigError",
    "DataConfig",
    "Direction",
    "Duration",
    "Inference",
    "InitConfig",
    "TrainConfig",
    "copy_preset",
    "default_run",
    "explain",
    "flat",
    "frozen",
    "import_class",
    "load_config",
    "load_words",
    "meanings",
    "merge",
    "parse_override",
    "parse_yaml",
    "preset_text",
    "preset_titles",
    "presets",
    "suggest",
    "to_tree",
    "to_yaml",
    "validate",
]
