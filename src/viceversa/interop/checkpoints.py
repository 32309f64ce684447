"""The state_dicts in a file: plain, wrapped in a checkpoint, several in one, with spectral or weight norm."""

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

State: TypeAlias = dict[str, Tensor]

HARMLESS = [argparse.Namespace, PosixPath, np.dtype, np.float64, np._core.multiarray.scalar, np.dtypes.Float64DType]  # type: ignore[attr-defined]
"""What checkpoints often hold beside tensors: options and scores."""
DEPTH = 8
"""Networks lie no deeper in a file; a stranger's may even hold itself."""
PARAMETRIZED = {"original": "orig", "0._u": "u", "0._v": "v", "original0": "g", "original1": "v"}


def read_states(path: Path) -> dict[str, State]:
    """Return the state_dicts in a .pth or .safetensors file by the keys that lead to them; a plain one's is "".

    Nothing but tensors and harmless values is unpickled. Raises OSError for what cannot be read, ValueError for what
    holds no tensors.
    """
    states = dict(_states(_load(path)))
    if not states:
        raise ValueError("holds no state_dict; save net.state_dict() with torch.save")
    return states


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
