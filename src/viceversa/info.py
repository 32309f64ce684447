"""A run, a weights file or a configuration, described."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from viceversa import methods
from viceversa.backends import ExportedGenerator, load_network
from viceversa.config import Config, load_config, to_yaml
from viceversa.engine.run_dir import checkpoint_files, checkpoint_step
from viceversa.nets import Discriminator
from viceversa.nets.patchgan import output_size, receptive_field
from viceversa.nets.projected import ProjectedDiscriminator
from viceversa.nets.weights import load_generator


def describe(path: Path) -> str:
    """Return a table, a fact a line; raise FileNotFoundError or ValueError with the remedy."""
    facts = _run(path) if path.is_dir() else _weights(path)
    width = max(map(len, facts))
    return "\n".join(f"{name:{width}}  {value}" for name, value in facts.items())


def resolved(config: Config) -> str:
    """Return the configuration as YAML, with every option and what it means; ConfigError for what cannot be built."""
    config = methods.resolve(config)
    methods.check(config)
    return to_yaml(config, methods.describe(config))


def _run(path: Path) -> dict[str, str]:
    config = methods.resolve(load_config(path))
    with torch.device("meta"):
        method = methods.build(config)
    for file in sorted(path.glob("weights/*.safetensors")):
        load_generator(file)  # which refuses what is spoilt
    checkpoints = checkpoint_files(path / "checkpoints")
    facts = {
        "method": _spec(config.method),
        "data": config.data.root or f"{config.data.a} and {config.data.b}",
        "crop": f"{config.data.crop} px",
        "length": str(config.train.length),
        "checkpoint": f"step {checkpoint_step(checkpoints[0])}" if checkpoints else "none yet",
        "generator": _spec(config.generator),
        "discriminator": _spec(config.discriminator),
    }
    for name, net in method.named_children():
        if any(True for _ in net.parameters()):
            facts[name] = _size(net)
        if isinstance(net, Discriminator) and not isinstance(net, ProjectedDiscriminator):
            field, side = receptive_field(net), output_size(net, config.data.crop)
            facts[name] += f", judges {side} x {side} patches of {field} x {field} px"
    return facts


def _weights(path: Path) -> dict[str, str]:
    net, card = load_network(path)
    exported = isinstance(net, ExportedGenerator)
    return {
        "translates": card.direction,
        "generator": _spec(card.generator),
        "size": f"exported, {path.stat().st_size / 1e6:.1f} MB" if exported else _size(net),
        "channels": f"{card.in_channels} to {card.out_channels}",
        "trained on": f"{card.size} px crops",
        "inference": card.inference,
        **{key: str(value) for key, value in card.trained.items()},
    }


def _size(net: nn.Module) -> str:
    return f"{sum(parameter.numel() for parameter in net.parameters()) / 1e6:.3f} M parameters"


def _spec(spec: dict[str, object]) -> str:
    options = ", ".join(f"{key} {value}" for key, value in spec.items() if key != "name")
    return f"{spec['name']} ({options})" if options else str(spec["name"])
