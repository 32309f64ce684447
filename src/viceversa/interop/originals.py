"""Which network is this? Told from the layers' names and shapes in files of the original implementations.

A state_dict is a list of layers in the order in which its network runs. So to convert one is to recognise the network
from names and shapes, build ours, and lay the two lists of layers side by side. Whatever does not fit is named.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from viceversa import registry
from viceversa.config import ConfigError
from viceversa.nets import DISCRIMINATORS, GENERATORS, Discriminator, Generator

Layers: TypeAlias = dict[str, dict[str, Tensor]]  # of each layer its tensors: weight, bias, running_mean, filter, ...
WRAPPERS = re.compile(r"^((module|_orig_mod)\.)+")  # DataParallel and torch.compile put these in front of every key
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Original:
    """What a foreign file turned out to hold."""

    network: dict[str, Any]
    """Component description: name and options."""
    in_channels: int
    out_channels: int
    size: int | None = None
    """The image size in pixels, for networks that are tied to one."""

    def build(self) -> Generator | Discriminator:
        """Return the network, with random weights; ConfigError if it cannot be built."""
        if self.network["name"] in DISCRIMINATORS:
            spec = registry.complete(DISCRIMINATORS, "discriminator", self.network)
            return registry.create(DISCRIMINATORS, "discriminator", spec, self.in_channels)
        spec = registry.complete(GENERATORS, "generator", self.network)
        return registry.create(GENERATORS, "generator", spec, self.in_channels, self.out_channels, size=self.size)


def convert_original(state: Mapping[str, Tensor]) -> tuple[Original, dict[str, Tensor]]:
    """Return the network that an original's state_dict belongs to, and its weights under our names, or ValueError."""
    layers = _layers(state)
    original = recognise(layers)
    try:
        with torch.device("meta"):  # only names and shapes: a foreign file may describe something enormous
            net = original.build()
    except ConfigError as error:
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


def recognise(layers: Layers) -> Original:
    """Return the network that these layers belong to; ValueError names the first key of an unknown layout."""
    for start, (name, read) in RECOGNISERS.items():
        if any(layer.startswith(start) for layer in layers):
            try:
                convs = _weights(layers)
                first, *_, last = convs.values()
                options = read(layers, convs)
            except (LookupError, ValueError, ArithmeticError) as error:
                raise ValueError(f"looks like {name}, but has no layer {error}") from None
            out_channels = last.shape[1] if name in ("unet", "vae1", "vaegan") else len(last)  # they end transposed
            size = options.pop("size", None)
            return Original({"name": name, "width": len(first), **options}, first.shape[1], out_channels, size)
    first_layer = next(iter(layers))
    raise ValueError(f"{first_layer}.{next(iter(layers[first_layer]))}: the first key of a layout that is not known")


def _weights(layers: Layers, start: str = "", dims: int = 4) -> dict[str, Tensor]:
    """Return the weights of the convolutions (4 dimensions) or norms (1) below `start`."""
    return {
        name: layer["weight"]
        for name, layer in layers.items()
        if name.startswith(start) and "weight" in layer and layer["weight"].dim() == dims
    }


def _norm(layers: Layers, conv: str = "", untracked: str = "instance_affine") -> str:
    """Tell the normalisation; `untracked` has scales but no running statistics.

    The originals give the convolution `conv` before it a bias for instance norm alone; without it a bias says nothing.
    """
    biased = not conv or "bias" in layers[conv]
    for norm in _weights(layers, dims=1):
        tracked = "running_mean" in layers[norm]
        return "batch" if tracked and not (conv and biased) else untracked
    return "instance" if biased else "none"


def _blocks(convs: Iterable[str], start: str) -> dict[str, Any]:
    """Tell number, padding and dropout of the residual blocks below `start`, which are lists of layers in a list."""
    nested = re.compile(rf"{start}\d+\.\w+\.(\d+)")
    places = [int(match[1]) for name in convs if (match := nested.fullmatch(name))]
    first, second = [*places, 1, 5][:2]
    return {  # each a list of: padding, convolution, norm, ReLU, dropout, padding, convolution, norm
        "blocks": len(places) // 2,
        "padding": "reflect" if first else "zeros",
        "dropout": 0.5 if second - first == first + 4 else 0.0,
    }


def _filters(layers: Layers) -> set[int]:
    """Return the sizes of the blur filters: 3 on the way down, 4 on the way up."""
    return {layer["filter"].shape[-1] for layer in layers.values() if "filter" in layer}


def _resnet(layers: Layers, convs: Mapping[str, Tensor]) -> dict[str, Any]:
    blocks, filters = _blocks(convs, r"model\."), _filters(layers)
    downs = (len(convs) - 2 * blocks["blocks"] - 2) // 2  # without the blocks: stem, downs, ups, head
    resampling = {"antialias": 3 in filters, "upsample": "blur" if 4 in filters else "transposed"}
    return {"downs": downs, "norm": _norm(layers, "model.1"), **blocks, **resampling}


def _unet(layers: Layers, convs: Mapping[str, Tensor]) -> dict[str, Any]:
    return {"depth": len(convs) // 2, "norm": _norm(layers, next(iter(convs)))}


def _patchgan(layers: Layers, convs: Mapping[str, Tensor]) -> dict[str, Any]:
    _, second, *rest = convs
    return {"layers": len(rest), "norm": _norm(layers, second), "antialias": 3 in _filters(layers)}


def _pixelgan(layers: Layers, convs: Mapping[str, Tensor]) -> dict[str, Any]:
    return {"norm": _norm(layers, "net.2")}


def _resnet_vae(layers: Layers, convs: Mapping[str, Tensor]) -> dict[str, Any]:
    blocks = _blocks(convs, r"encoder\.")
    if blocks.pop("padding") != "reflect":
        raise ValueError("of reflection before its residual blocks' convolutions")
    downs = len(_weights(layers, "encoder.")) - 2 * blocks["blocks"] - 1
    blocks["blocks"] *= 2  # the decoder has as many
    return {"downs": downs, "latent": len(convs["conv_mu"]), "norm": _norm(layers, "encoder.1"), **blocks}


def _res_vae(layers: Layers, convs: Mapping[str, Tensor]) -> dict[str, Any]:
    stem, mean = convs["encoder.conv_in"], convs["encoder.conv_mu"]
    downs = (mean.shape[1] // len(stem)).bit_length() - 1
    blocks = len(_weights(layers, "encoder.layer_blocks.")) // 2 - downs
    return {"downs": downs, "blocks": blocks, "latent": len(mean), "norm": _norm(layers, untracked="group")}


def _vae1(layers: Layers, convs: Mapping[str, Tensor]) -> dict[str, Any]:
    downs, mean = list(_weights(layers, "encoder.").values()), layers["fc1"]["weight"]
    size = math.isqrt(mean.shape[1] // len(downs[-1])) * 2 ** len(downs)
    return {"downs": len(downs), "latent": len(mean), "norm": _norm(layers), "size": size}


def _vaegan(layers: Layers, convs: Mapping[str, Tensor]) -> dict[str, Any]:
    size = 4 * 2 ** len(_weights(layers, "encoder.encoder."))
    return {"latent": len(convs["encoder.conv1"]), "norm": _norm(layers), "size": size}


RECOGNISERS: dict[str, tuple[str, Callable[[Layers, Mapping[str, Tensor]], dict[str, Any]]]] = {
    "encoder.layer_blocks.": ("res_vae", _res_vae),  # by the first layer name that gives them away
    "encoder.encoder.": ("vaegan", _vaegan),
    "fc1": ("vae1", _vae1),
    "conv_mu": ("resnet_vae", _resnet_vae),
    "model.model.": ("unet", _unet),
    "model.0": ("patchgan", _patchgan),
    "model.1": ("resnet", _resnet),
    "net.0": ("pixelgan", _pixelgan),
}
