"""One generator in one file: safetensors, with the description needed to build it again. No pickle, no code."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from viceversa import registry
from viceversa.config import Direction, Inference, explain
from viceversa.files import replacing
from viceversa.nets import GENERATORS
from viceversa.nets.base import Generator
from viceversa.nets.layers import set_inference

log = logging.getLogger("viceversa")
FORMAT = "viceversa-generator-1"
LARGEST = 2**10
"""No option of a generator is larger; one that is would be built for hours."""
Channels = Annotated[int, Field(ge=1, le=2**10)]


@dataclass(frozen=True)
class Card:
    """What a weights file says of its generator."""

    generator: dict[str, Any]
    """Component description: name and options."""
    in_channels: Channels
    out_channels: Channels
    size: Annotated[int, Field(ge=1, le=2**17)]
    """Pixels of the crops it was trained on."""
    direction: Direction
    inference: Inference
    trained: dict[str, Any]
    """Where it comes from: method, step, data; for people to read."""
    bits: Annotated[int, Field(ge=9, le=16)] = 16
    """Bits that are used of 16-bit images (data.scale)."""


def save_generator(path: Path, net: Generator, card: Card) -> None:
    """Write a generator's weights and its card to a .safetensors file, atomically."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    with replacing(path) as temporary:  # written here, as save_file takes no name that is not UTF-8
        temporary.write_bytes(save(tensors, {FORMAT: json.dumps(asdict(card), sort_keys=True)}))


def read_card(path: Path) -> Card:
    """Return the card of a weights file; raise ValueError if it is not one of ours."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        return TypeAdapter(Card).validate_python(json.loads(metadata[FORMAT]), strict=False)
    except FileNotFoundError:
        raise
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as failure:
        error = explain(failure.errors()[0]) if isinstance(failure, ValidationError) else failure
        hint = "; read other codes' with viceversa import" if path.suffix != ".safetensors" else ""
        raise ValueError(f"{path}: not a weights file of viceversa ({error}){hint}") from None


def has_card(path: Path) -> bool:
    """Whether a file is a weights file of ours, be it whole or not."""
    try:
        with safe_open(path, "pt") as file:
            return FORMAT in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def load_generator(path: Path) -> tuple[Generator, Card]:
    """Return the generator of a weights file, in its inference form on the CPU, and its card.

    Raises ValueError for a file that is not one of ours, whose weights are not finite, or whose card asks for more than
    its weights need or for code that is not imported (see `registry.find`).
    """
    card = read_card(path)
    with safe_open(path, "pt") as file:
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (it is no dict)
    try:
        refuse_not_finite(state)
        card = replace(card, generator=registry.complete(GENERATORS, "generator", card.generator))
        if card.generator["name"] in GENERATORS:
            _refuse_others(card, state)
        net = _built(card)
        net.load_state_dict(state)
    except ValueError as error:  # a ConfigError among them
        raise type(error)(f"{path}: {error}") from None
    except RuntimeError as error:
        raise ValueError(f"{path}: its weights do not fit its card ({str(error).splitlines()[-1].strip()})") from None
    set_inference(net, card.inference)
    normalised = any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    if normalised and card.inference == "running" and card.trained.get("batch") == 1:
        log.warning(
            "%s: its batch norm learned from single images, which running statistics fit badly; continue the run with "
            "inference=image, or train with generator.norm=instance",
            path,
        )
    return net.requires_grad_(False), card


def _built(card: Card) -> Generator:
    channels = card.in_channels, card.out_channels
    return registry.create(GENERATORS, "generator", card.generator, *channels, size=card.size)


def refuse_not_finite(state: Mapping[str, Tensor]) -> None:
    """Raise ValueError that names the first tensor with NaN or infinity in it."""
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{name} is not finite, so it translates nothing; use weights from before training failed")


def _refuse_others(card: Card, state: dict[str, Tensor]) -> None:
    """Raise RuntimeError unless weights and card fit, by names and shapes alone: a card may describe anything."""
    for option, value in card.generator.items():
        if isinstance(value, int) and value > LARGEST:
            raise RuntimeError(f"generator.{option} is {value}")
    try:
        with torch.device("meta"):
            net = _built(card)
    except (TypeError, OverflowError):  # torch's, of sizes beyond any memory
        raise RuntimeError("its generator is too large") from None
    wanted = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise RuntimeError(f"{name}: {found.get(name, 'missing')}, should be {wanted.get(name, 'absent')}")
