"""One generator in one file: safetensors, with the description needed to build it again. No pickle, no code."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from viceversa.config import Direction, Inference
from viceversa.files import replacing
from viceversa.nets.base import Generator
from viceversa.nets.build import build_generator
from viceversa.nets.layers import set_inference

FORMAT = "viceversa-generator-1"


@dataclass(frozen=True)
class Card:
    """What a weights file says of its generator."""

    generator: dict[str, Any]
    """Component description: name and options."""
    in_channels: int
    out_channels: int
    size: int
    """Pixels of the crops it was trained on."""
    direction: Direction
    inference: Inference
    trained: dict[str, Any]
    """Where it comes from: method, step, data; for people to read."""


def save_generator(path: Path, net: Generator, card: Card) -> None:
    """Write a generator's weights and its card to a .safetensors file, atomically."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    with replacing(path) as temporary:
        save_file(tensors, temporary, {FORMAT: json.dumps(asdict(card), sort_keys=True)})


def read_card(path: Path) -> Card:
    """Return the card of a weights file; raise ValueError if it is not one of ours."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        return Card(**json.loads(metadata[FORMAT]))
    except FileNotFoundError:
        raise
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        hint = "; read other codes' with viceversa import" if path.suffix != ".safetensors" else ""
        raise ValueError(f"{path}: not a weights file of viceversa ({error}){hint}") from None


def load_generator(path: Path) -> tuple[Generator, Card]:
    """Return the generator of a weights file, in its inference form on the CPU, and its card."""
    card = read_card(path)
    net = build_generator(card.generator, card.in_channels, card.out_channels, size=card.size)
    with safe_open(path, "pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no dict)
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path}: its weights do not fit its card ({str(error).splitlines()[-1].strip()})") from None
    set_inference(net, card.inference)
    return net.requires_grad_(False), card


def weights_file(path: Path, direction: Direction | None = None, raw: bool = False, best: bool = False) -> Path:
    """Return the weights file that a run's folder, or the path itself, stands for.

    Of a run with two directions it is AtoB's unless told; `raw` takes the last weights instead of their moving average,
    `best` those that scored best during training. Raises FileNotFoundError or ValueError with the remedy.
    """
    if path.is_file():
        return path
    found = directions(path)
    if direction is not None and direction not in found:
        raise ValueError(f"{path}: translates {' and '.join(found)}, not {direction}")
    if raw and best:
        raise ValueError("the best weights are kept as a moving average, not raw; ask for one of both")
    name = f"{'best-' * best}{direction or found[0]}{'.raw' * raw}.safetensors"
    if best and not (path / "weights" / name).is_file():
        raise FileNotFoundError(f"{path}: has no best weights; a training keeps them with train.evaluate_every")
    return path / "weights" / name


def directions(run: Path) -> list[Direction]:
    """Return the directions that a run's folder has weights for; FileNotFoundError, with the remedy, if it has none."""
    if not run.is_dir():
        raise FileNotFoundError(f"{run}: there is no such run or weights file")
    found = [d for d in get_args(Direction) if (run / "weights" / f"{d}.safetensors").is_file()]
    if not (run / "config.yaml").is_file() and not found:
        raise FileNotFoundError(f"{run}: not a run, it has no config.yaml; name the folder that a training wrote")
    if not found:
        raise FileNotFoundError(f"{run}: has no weights yet; a run writes them with its first checkpoint")
    return found
