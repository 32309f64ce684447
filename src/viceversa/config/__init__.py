"""The configuration of a run: frozen dataclasses, read from presets, YAML files and `key=value` words.

Values come, later ones winning, from the defaults in `schema`, a preset, a YAML 1.2 file, and `key=value` overrides.
"""

from viceversa.config.check import explain, suggest, validate
from viceversa.config.dump import flat, meanings, to_tree, to_yaml
from viceversa.config.load import (
    copy_preset,
    default_run,
    import_class,
    load_config,
    load_words,
    merge,
    parse_override,
    parse_yaml,
    preset_text,
    preset_titles,
    presets,
)
from viceversa.config.schema import (
    CLOSED,
    COMPONENTS,
    AugmentConfig,
    Config,
    ConfigError,
    DataConfig,
    Direction,
    Duration,
    Inference,
    InitConfig,
    TrainConfig,
    frozen,
    may_change,
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
    "may_change",
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
