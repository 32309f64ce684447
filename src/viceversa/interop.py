"""Read weights that the original implementations saved: CycleGAN and pix2pix, CUT, and source 000's VAEs.

A state_dict is a list of layers in the order in which its network runs. So an import is: recognise the network from
names and shapes, build ours, and lay the two lists of layers side by side. Whatever does not fit is named.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from viceversa.config import Direction, Inference
from viceversa.nets import GENERATORS
from viceversa.nets.base import Discriminator, Generator
from viceversa.nets.originals import Layers, Original, recognise
from viceversa.nets.weights import Card, load_generator, save_generator
from viceversa.paths import weights_file
from viceversa.registry import complete

WRAPPERS = re.compile(r"^((module|_orig_mod)\.)+")  # DataParallel and torch.compile put these in front of every key
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def read_original(path: str | Path) -> tuple[Original, dict[str, Tensor]]:
    """Return the description of the network in a .pth file, and its weights under our names.

    Nothing but tensors is unpickled. Raises OSError for what cannot be read, or ValueError that says which key did not
    fit.
    """
    with Path(path).open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of how the file was pickled
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
        except (
            Exception
        ):  # on damaged files torch raises nearly anything, and on code it advises to load it all the same
            reason = "damaged, or with more than tensors in it; save net.state_dict() with torch.save"
            raise ValueError(f"{path}: not a file of weights alone: {reason}") from None
    try:
        return convert_original(state)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def load_network(path: str | Path) -> Generator | Discriminator:
    """Return a trained network in evaluation mode, taking (B, C, H, W) in [-1, 1].

    `path` is a run's folder (its first direction), a .safetensors weights file of ours, or a .pth file that an original
    implementation saved. Raises FileNotFoundError, or ValueError with what did not fit.
    """
    path = Path(path)
    if path.is_dir() or path.suffix == ".safetensors":
        return load_generator(weights_file(path))[0]
    original, weights = read_original(path)
    net = original.build()
    net.load_state_dict(weights)
    return net.eval().requires_grad_(False)


def import_generator(
    source: Path,
    target: Path,
    direction: Direction = "AtoB",
    inference: Inference = "running",
    *,
    overwrite: bool = False,
) -> Original:
    """Turn an original's generator (.pth) into a weights file of ours (.safetensors); return what it turned out to be.

    Raises ValueError if the file holds something else, or `target` has another suffix or exists.
    """
    if target.suffix != ".safetensors":
        raise ValueError(f"{target}: weights files end in .safetensors")
    if target.exists() and not overwrite:
        raise ValueError(f"{target}: exists already; --overwrite replaces it")
    original, weights = read_original(source)
    net = original.build()
    if not isinstance(net, Generator):
        raise ValueError(f"{source}: is a discriminator; only generators translate")
    net.load_state_dict(weights)
    card = Card(
        complete(GENERATORS, "generator", original.network),
        original.in_channels,
        original.out_channels,
        original.size or 256,
        direction,
        inference,
        {"imported": source.name},
    )
    save_generator(target, net, card)
    return original


def convert_original(state: Mapping[str, Tensor]) -> tuple[Original, dict[str, Tensor]]:
    """Return the description of the network that an original's state_dict belongs to, and its weights under our names.

    Raises ValueError that names the first key that did not fit.
    """
    layers = _layers(state)
    original = recognise(layers)
    try:
        with torch.device("meta"):  # only names and shapes: a foreign file may describe something enormous
            net = original.build()
    except ValueError as error:
        raise ValueError(f"looks like {original.network}, which cannot be built: {error}") from None
    return original, _transfer(layers, _layers(net.state_dict()), original.network["norm"])


def _layers(state: object) -> Layers:
    """Group tensors by layer, in the order in which the network runs them."""
    if not isinstance(state, Mapping) or not state:
        raise ValueError("holds no state_dict; save net.state_dict() with torch.save")
    layers: Layers = {}
    for key, tensor in state.items():
        if not isinstance(key, str) or not isinstance(tensor, Tensor):
            raise ValueError(f"holds no state_dict: {key!r} is not a tensor; save net.state_dict() with torch.save")
        layer, _, leaf = WRAPPERS.sub("", key).rpartition(".")
        if not tensor.dim() and leaf not in STATISTICS:
            raise ValueError(f"{key}: a single number, which no known layout has")
        layers.setdefault(layer, {})["filter" if leaf == "filt" else leaf] = tensor
    # only the VAEGAN registers its two exits before the encoder that they end
    return dict(sorted(layers.items(), key=lambda item: not item[0].startswith("encoder.encoder.")))


def _transfer(theirs: Layers, ours: Layers, norm: str) -> dict[str, Tensor]:
    """Lay their layers beside ours and return their tensors under our names; ValueError names what does not fit."""
    theirs = {name: layer for name, layer in theirs.items() if layer.keys() & {"weight", "filter"}}  # old statistics
    weights = {}
    for (name, layer), (our_name, our_layer) in zip(theirs.items(), ours.items(), strict=False):
        for leaf in our_layer | layer:
            key, wanted, found = f"{name}.{leaf}", our_layer.get(leaf), layer.get(leaf)
            if wanted is None and norm == "instance_affine" and leaf in STATISTICS:
                continue  # PyTorch 0.3 kept statistics that instance norm does not use; the originals drop them too
            absent = leaf == "num_batches_tracked" or (leaf == "bias" and norm == "none")
            if wanted is not None and found is None and absent:
                found = torch.zeros_like(wanted, device="cpu")  # older files lack the one, the originals the other
            if wanted is None or found is None or wanted.shape != found.shape:
                raise ValueError(f"{key}: {_shape(found)} does not fit {our_name}.{leaf}, {_shape(wanted)}")
            weights[f"{our_name}.{leaf}"] = found
    for name in list(theirs)[len(ours) :]:
        raise ValueError(f"{name}.{next(iter(theirs[name]))}: one layer too many")
    for name in list(ours)[len(theirs) :]:
        raise ValueError(f"{list(theirs)[-1]}: the file ends there, and our {name} is missing")
    return weights


def _shape(tensor: Tensor | None) -> str:
    return "nothing" if tensor is None else f"shape {tuple(tensor.shape)}"
