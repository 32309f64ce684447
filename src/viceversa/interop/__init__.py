"""Read weights that other codes saved: the originals of CycleGAN, pix2pix and CUT, VAEs like ours, and relatives."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path, PosixPath
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from viceversa import registry
from viceversa.config import Direction, Inference
from viceversa.interop.originals import Original, convert_original
from viceversa.nets import GENERATORS, Discriminator, Generator
from viceversa.nets.weights import Card, has_card, load_generator, refuse_not_finite, save_generator
from viceversa.paths import weights_file

__all__ = ["Original", "convert_original", "import_generator", "load_network", "read_original"]

FoundNetworks: TypeAlias = dict[str, tuple[Original, dict[str, Tensor]]]

HARMLESS = [argparse.Namespace, PosixPath, np.dtype, type(np.dtype("float64")), np.float64(0).__reduce__()[0]]
"""What checkpoints often hold beside tensors: options and scores."""
DEPTH = 8
"""Networks lie no deeper in a file; a stranger's may even hold itself."""


def load_network(path: str | Path, key: str | None = None) -> Generator | Discriminator:
    """Return a trained network in evaluation mode, taking (B, C, H, W) in [-1, 1].

    `path` is a run's folder (its first direction), a weights file of ours, or a file that another code saved with
    torch; `key` names the network in a file that holds several. Raises ValueError with what did not fit.
    """
    path = Path(path)
    if path.is_dir() or has_card(path):
        return load_generator(weights_file(path))[0]
    original, weights = read_original(path, key)
    net = original.build()
    net.load_state_dict(weights)
    return net.eval().requires_grad_(False)


def import_generator(
    source: Path,
    target: Path,
    direction: Direction = "AtoB",
    inference: Inference = "running",
    *,
    key: str | None = None,
    overwrite: bool = False,
) -> Original:
    """Turn another code's generator into a weights file of ours (.safetensors); return what it turned out to be."""
    if target.suffix != ".safetensors":
        raise ValueError(f"{target}: weights files end in .safetensors")
    if target.exists() and not overwrite:
        raise ValueError(f"{target}: exists already; --overwrite replaces it")
    original, weights = read_original(source, key)
    net = original.build()
    if not isinstance(net, Generator):
        raise ValueError(f"{source}: is a discriminator; only generators translate")
    net.load_state_dict(weights)
    channels, size = (original.in_channels, original.out_channels), original.size or 256
    spec = registry.complete(GENERATORS, "generator", original.network)
    card = Card(spec, *channels, size, direction, inference, {"imported": source.name})
    save_generator(target, net, card)
    return original


def read_original(path: str | Path, key: str | None = None) -> tuple[Original, dict[str, Tensor]]:
    """Return the description of a network in a file of another code, and its weights under our names.

    Of several it is the one called `key`, else the only generator. ValueError says which key did not fit.
    """
    path = Path(path)
    try:
        state = dict(_tensors(_load(path)))
        found = _networks(state)
        if not found:
            convert_original(state)  # which says why not
        original, weights = found[_choose(found, key)]
        refuse_not_finite(weights)
    except (ValueError, RuntimeError, IndexError, TypeError) as error:  # torch's, of tensors of odd shapes and kinds
        raise ValueError(f"{path}: {str(error).strip().splitlines()[0]}") from None
    return original, weights


def _tensors(tree: object, path: str = "", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors in nested mappings, with the keys that lead to them."""
    if isinstance(tree, Tensor):
        yield path, tree
    elif isinstance(tree, Mapping) and depth <= DEPTH:
        for key, value in tree.items():
            if isinstance(key, str):
                yield from _tensors(value, f"{path}.{key}".lstrip("."), depth + 1)


def _networks(state: Mapping[str, Tensor], name: str = "", depth: int = 0) -> FoundNetworks:
    """Return the networks in a state_dict, itself or its parts, by their keys."""
    try:
        return {name: convert_original(state)}
    except ValueError:
        parts: dict[str, dict[str, Tensor]] = {}
        for key, tensor in state.items():
            part, _, rest = key.partition(".")
            if rest and depth <= DEPTH:
                parts.setdefault(part, {})[rest] = tensor
        found: FoundNetworks = {}
        for part, inner in parts.items():
            found |= _networks(inner, f"{name}.{part}".lstrip("."), depth + 1)
        return found


def _choose(found: FoundNetworks, key: str | None) -> str:
    """Return the key of the network that is meant."""
    generators = [name for name, (original, _) in found.items() if original.network["name"] in GENERATORS]
    if key is None:
        candidates = generators or list(found)
    else:
        candidates = [name for name in found if name == key or name.endswith(f".{key}")]
    if len(candidates) == 1:
        return candidates[0]
    known = ", ".join(f"{name} ({found[name][0].network['name']})" for name in candidates or found if name)
    if key is None:
        raise ValueError(f"holds several networks: {known}; choose one with --key NAME")
    raise ValueError(f"no network is called {key!r}; " + (f"it holds {known}" if known else "leave --key away"))


def _load(path: Path) -> object:
    with path.open("rb") as file, warnings.catch_warnings(), torch.serialization.safe_globals(HARMLESS):
        warnings.simplefilter("ignore")  # torch's, of how the file was pickled
        try:
            return torch.load(file, map_location="cpu", weights_only=True)
        except Exception:  # of damaged files torch raises nearly anything; of code it advises to load it all the same
            reason = "damaged, or with more than tensors in it; save net.state_dict() with torch.save"
            raise ValueError(f"not a file of weights alone: {reason}") from None
