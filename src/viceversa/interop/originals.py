"""Which network is this? Told from the layers' names and shapes in files of the original implementations.

A state_dict is a list of layers in the order in which its network runs. So to convert one is to recognise the network
from names and shapes, build ours, and lay the two lists of layers side by side. Whatever does not fit is named.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

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

    kind: Literal["generator", "discriminator"]
    network: dict[str, Any]
    """Component description: name and options."""
    in_channels: int
    out_channels: int
    size: int | None = None
    """The image size in pixels, for networks that are tied to one."""

    def build(self) -> Generator | Discriminator:
        """Return the network, with random weights; ConfigError if it cannot be built."""
        if self.kind == "discriminator":
            return registry.create(DISCRIMINATORS, "discriminator", self.spec, self.in_channels)
        channels = self.in_channels, self.out_channels
        return registry.create(GENERATORS, "generator", self.spec, *channels, size=self.size)

    @property
    def spec(self) -> dict[str, Any]:
        """The network's complete description."""
        return registry.complete(
            DISCRIMINATORS if self.kind == "discriminator" else GENERATORS, self.kind, self.network
        )


def convert_original(state: Mapping[str, Tensor]) -> tuple[Original, dict[str, Tensor]]:
    """Return the description of the network that an original's state_dict belongs to, and its weights under our names.

    Raises ValueError that names the first key that did not fit.
    """
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
    for start, read in RECOGNISERS.items():
        if any(name.startswith(start) for name in layers):
            try:
                return read(layers)
            except (KeyError, IndexError, ValueError) as error:
                raise ValueError(f"looks like {read.__name__[1:]}, but has no layer {error}") from None
    first = next(iter(layers))
    leaf = next(iter(layers[first]))
    raise ValueError(f"{first}.{leaf}: the first key of a layout that is not known")


def _weights(layers: Layers, start: str = "", dims: int = 4) -> dict[str, Tensor]:
    """Return the weights of the convolutions (4 dimensions) or norms (1) below `start`."""
    return {
        name: layer["weight"]
        for name, layer in layers.items()
        if name.startswith(start) and "weight" in layer and layer["weight"].dim() == dims
    }


def _norm(layers: Layers, conv: str) -> str:
    """Tell the normalisation: the originals give the convolution before it a bias for instance norm alone."""
    scales = _weights(layers, dims=1)
    biased = "bias" in layers[conv]
    if scales:
        tracked = "running_mean" in layers[next(iter(scales))]
        return "batch" if tracked and not biased else "instance_affine"
    return "instance" if biased else "none"


def _vae_norm(layers: Layers, untracked: str) -> str:
    """Tell the normalisation where a bias says nothing; `untracked` has scales but no running statistics."""
    scales = _weights(layers, dims=1)
    if scales:
        return "batch" if "running_mean" in layers[next(iter(scales))] else untracked
    return "instance"


def _blocks(layers: Layers, start: str) -> dict[str, Any]:
    """Tell number, padding and dropout of the residual blocks below `start`, which are lists of layers in a list."""
    nested = re.compile(rf"{start}\d+\.\w+\.(\d+)")
    places = [int(match[1]) for name in _weights(layers) if (match := nested.fullmatch(name))]
    if not places:
        return {"blocks": 0, "padding": "reflect", "dropout": 0.0}
    first, second = places[:2]  # in a list of: padding, convolution, norm, ReLU, dropout, padding, convolution, norm
    return {
        "blocks": len(places) // 2,
        "padding": "reflect" if first else "zeros",
        "dropout": 0.5 if second - first == first + 4 else 0.0,
    }


def _filters(layers: Layers) -> set[int]:
    """Return the sizes of the blur filters: 3 on the way down, 4 on the way up."""
    return {layer["filter"].shape[-1] for layer in layers.values() if "filter" in layer}


def _resnet(layers: Layers) -> Original:
    blocks, stem = _blocks(layers, r"model\."), layers["model.1"]["weight"]
    convs = list(_weights(layers).values())
    downs = (len(convs) - 2 * blocks["blocks"] - 2) // 2  # without the blocks: stem, downs, ups, head
    form = {"antialias": 3 in _filters(layers), "upsample": "blur" if 4 in _filters(layers) else "transposed"}
    network: dict[str, Any] = {"width": len(stem), "downs": downs, "norm": _norm(layers, "model.1"), **blocks, **form}
    return Original("generator", {"name": "resnet", **network}, stem.shape[1], len(convs[-1]))


def _unet(layers: Layers) -> Original:
    convs = _weights(layers)
    first, *_, last = convs.values()
    network: dict[str, Any] = {"width": len(first), "depth": len(convs) // 2, "norm": _norm(layers, next(iter(convs)))}
    return Original("generator", {"name": "unet", **network}, first.shape[1], last.shape[1])


def _patchgan(layers: Layers) -> Original:
    first, second, *rest = _weights(layers)
    weight = layers[first]["weight"]
    network: dict[str, Any] = {"width": len(weight), "layers": len(rest), "norm": _norm(layers, second)}
    network["antialias"] = 3 in _filters(layers)
    return Original("discriminator", {"name": "patchgan", **network}, weight.shape[1], 1)


def _pixelgan(layers: Layers) -> Original:
    weight = layers["net.0"]["weight"]
    network = {"name": "pixelgan", "width": len(weight), "norm": _norm(layers, "net.2")}
    return Original("discriminator", network, weight.shape[1], 1)


def _resnet_vae(layers: Layers) -> Original:
    blocks, stem = _blocks(layers, r"encoder\."), layers["encoder.1"]["weight"]
    *_, last = _weights(layers).values()
    if blocks.pop("padding") != "reflect":
        raise ValueError("of reflection before its residual blocks' convolutions")
    downs = len(_weights(layers, "encoder.")) - 2 * blocks["blocks"] - 1
    blocks["blocks"] *= 2  # the decoder has as many
    network: dict[str, Any] = {"width": len(stem), "downs": downs, "latent": len(layers["conv_mu"]["weight"]), **blocks}
    network["norm"] = _norm(layers, "encoder.1")
    return Original("generator", {"name": "resnet_vae", **network}, stem.shape[1], len(last))


def _res_vae(layers: Layers) -> Original:
    stem, mean = layers["encoder.conv_in"]["weight"], layers["encoder.conv_mu"]["weight"]
    downs = (mean.shape[1] // len(stem)).bit_length() - 1
    blocks = len(_weights(layers, "encoder.layer_blocks.")) // 2 - downs
    network: dict[str, Any] = {"width": len(stem), "downs": downs, "blocks": blocks, "latent": len(mean)}
    network["norm"] = _vae_norm(layers, "group")
    head = layers["decoder.conv_out"]["weight"]
    return Original("generator", {"name": "res_vae", **network}, stem.shape[1], len(head))


def _vae1(layers: Layers) -> Original:
    convs = list(_weights(layers, "encoder.").values())
    mean, *_, last = layers["fc1"]["weight"], *_weights(layers, "decoder.").values()
    network: dict[str, Any] = {"width": len(convs[0]), "downs": len(convs), "latent": len(mean)}
    network["norm"] = _vae_norm(layers, "instance_affine")
    size = math.isqrt(mean.shape[1] // len(convs[-1])) * 2 ** len(convs)
    return Original("generator", {"name": "vae1", **network}, convs[0].shape[1], last.shape[1], size)


def _vaegan(layers: Layers) -> Original:
    convs = list(_weights(layers, "encoder.encoder.").values())
    *_, last = _weights(layers, "decoder.").values()
    network: dict[str, Any] = {"width": len(convs[0]), "latent": len(layers["encoder.conv1"]["weight"])}
    network["norm"] = _vae_norm(layers, "instance_affine")
    size = 4 * 2 ** len(convs)
    return Original("generator", {"name": "vaegan", **network}, convs[0].shape[1], last.shape[1], size)


RECOGNISERS: dict[str, Callable[[Layers], Original]] = {  # by the first layer name that gives them away
    "encoder.layer_blocks.": _res_vae,
    "encoder.encoder.": _vaegan,
    "fc1": _vae1,
    "conv_mu": _resnet_vae,
    "model.model.": _unet,
    "model.0": _patchgan,
    "model.1": _resnet,
    "net.0": _pixelgan,
}
