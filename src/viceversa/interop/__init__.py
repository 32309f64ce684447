"""Read weights that other codes saved: the originals of CycleGAN, pix2pix, CUT and source 000's VAEs, and relatives."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path, PosixPath
from typing import TypeAlias

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor
from torch.nn.functional import normalize

from viceversa.config import Direction, Inference
from viceversa.interop.originals import Original, convert_original
from viceversa.nets import Discriminator, Generator
from viceversa.nets.weights import Card, has_card, load_generator, refuse_not_finite, save_generator
from viceversa.paths import weights_file

__all__ = ["Original", "convert_original", "import_generator", "load_network", "read_original"]

State: TypeAlias = dict[str, Tensor]
FoundNetworks: TypeAlias = dict[str, tuple[Original, State]]

HARMLESS = [argparse.Namespace, PosixPath, np.dtype, type(np.dtype("float64")), np.float64(0).__reduce__()[0]]
"""What checkpoints often hold beside tensors: options and scores."""
DEPTH = 8
"""Networks lie no deeper in a file; a stranger's may even hold itself."""
PARAMETRIZED = {"original": "orig", "0._u": "u", "0._v": "v", "original0": "g", "original1": "v"}


def load_network(path: str | Path, key: str | None = None) -> Generator | Discriminator:
    """Return a trained network in evaluation mode, taking (B, C, H, W) in [-1, 1].

    `path` is a run's folder (its first direction), a weights file of ours, or a .pth or .safetensors file that another
    code saved; `key` names the network in a file that holds several. Raises FileNotFoundError, or ValueError with what
    did not fit.
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
    """Turn another code's generator into a weights file of ours (.safetensors); return what it turned out to be.

    Raises ValueError if the file holds something else, or several and no `key`, or `target` has another suffix or
    exists.
    """
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
    card = Card(original.spec, *channels, size, direction, inference, {"imported": source.name})
    save_generator(target, net, card)
    return original


def read_original(path: str | Path, key: str | None = None) -> tuple[Original, dict[str, Tensor]]:
    """Return the description of a network in a file of another code, and its weights under our names.

    Of several it is the one called `key`, else the only generator. Raises OSError for what cannot be read, or
    ValueError that says which key did not fit, or which generators there are.
    """
    path = Path(path)
    try:
        states = dict(_states(_load(path)))
        found: FoundNetworks = {}
        for name, state in states.items():
            found |= _networks(name, state)
        if not found:
            convert_original(next(iter(states.values()), {}))  # which says why not
        original, weights = found[_choose(found, key)]
        if path.suffix == ".safetensors" and "vae" in original.network["name"]:
            raise ValueError("a variational network's layers have lost their order in .safetensors; import its .pth")
        refuse_not_finite(weights)
    except (ValueError, RuntimeError, IndexError, TypeError) as error:  # torch's, of tensors of odd shapes and kinds
        raise ValueError(f"{path}: {str(error).strip().splitlines()[0]}") from None
    return original, weights


def _networks(name: str, state: Mapping[str, Tensor], depth: int = 0) -> FoundNetworks:
    """Return the networks in a state_dict, itself or its parts, by their keys."""
    try:
        return {name: convert_original(state)}
    except ValueError:
        if depth > DEPTH:
            return {}
        parts: dict[str, State] = {}
        for key, tensor in state.items():
            part, _, rest = key.partition(".")
            if rest:
                parts.setdefault(part, {})[rest] = tensor
        found: FoundNetworks = {}
        for part, inner in parts.items():
            found |= _networks(f"{name}.{part}".lstrip("."), inner, depth + 1)
        return found


def _choose(found: FoundNetworks, key: str | None) -> str:
    """Return the key of the network that is meant."""
    generators = [name for name, (original, _) in found.items() if original.kind == "generator"]
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
            if path.suffix == ".safetensors":  # sorted by name: by number, layers are in the order in which they run
                return dict(sorted(load(file.read()).items(), key=lambda item: _natural(item[0])))
            return torch.load(file, map_location="cpu", weights_only=True)
        except SafetensorError as error:
            raise ValueError(f"not a weights file ({error})") from None
        except Exception:  # of damaged files torch raises nearly anything; of code it advises to load it all the same
            reason = "damaged, or with more than tensors in it; save net.state_dict() with torch.save"
            raise ValueError(f"not a file of weights alone: {reason}") from None


def _natural(key: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in key.split(".")]


def _states(tree: object, path: str = "", depth: int = 0) -> Iterator[tuple[str, State]]:
    """Yield the keys that lead to each mapping with tensors in it, and these tensors."""
    if not isinstance(tree, Mapping) or depth > DEPTH:
        return
    named = {key: value for key, value in tree.items() if isinstance(key, str)}
    tensors = {key: value for key, value in named.items() if isinstance(value, Tensor)}
    if tensors:
        yield path, fold_norms(tensors)
    for key, value in named.items():
        yield from _states(value, f"{path}.{key}".lstrip("."), depth + 1)


def fold_norms(state: State) -> State:
    """Return a state_dict with the weights that spectral and weight norms compute, in place of what they learn."""
    state = {_old_name(key): tensor for key, tensor in state.items()}
    result = {}
    for key, tensor in state.items():
        name, _, part = key.rpartition("_")
        if part == "orig" and f"{name}_u" in state:
            result[name] = tensor / _largest_singular_value(tensor, state[f"{name}_u"], state.get(f"{name}_v"))
        elif part == "g" and f"{name}_v" in state:
            direction = state[f"{name}_v"]
            summed = [dim for dim, length in enumerate(tensor.shape) if length == 1] or None
            result[name] = direction * (tensor / torch.linalg.vector_norm(direction, dim=summed, keepdim=True))
        elif not (part in ("u", "v") and (f"{name}_orig" in state or f"{name}_g" in state)):
            result[key] = tensor
    return result


def _old_name(key: str) -> str:
    """Return the name that torch gave to a norm's tensors before they were parametrizations."""
    layer, marker, rest = key.rpartition("parametrizations.")
    weight, _, part = rest.partition(".")
    return f"{layer}{weight}_{PARAMETRIZED[part]}" if marker and part in PARAMETRIZED else key


def _largest_singular_value(weight: Tensor, u: Tensor, v: Tensor | None) -> Tensor:
    """Return it as estimated by the vectors that were saved; of which side of the filter they are, they tell by fit."""
    fits = []
    for dim in (0, 1):
        matrix = weight.movedim(dim, 0).flatten(1)
        if u.shape == matrix.shape[:1]:
            right = normalize(matrix.t() @ u, dim=0) if v is None else v
            value = u @ matrix @ right
            fits.append((float((matrix @ right - value * u).norm()), value))
    if not fits:
        raise ValueError(f"a spectral norm of {len(u)} values does not fit a weight of shape {tuple(weight.shape)}")
    return min(fits, key=lambda fit: fit[0])[1]
