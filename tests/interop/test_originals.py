"""Weights of the original implementations in forms of which there is no golden file.

The originals are lists of layers, so they are spelled here as lists of layers, independently of our networks.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from viceversa.interop import convert_original

Norm = Callable[[int], nn.Module]
NORMS: dict[str, Norm] = {
    "batch": nn.BatchNorm2d,
    "instance": nn.InstanceNorm2d,
    "instance_affine": lambda c: nn.InstanceNorm2d(c, affine=True),
    "none": lambda c: nn.Identity(),
}


class Add(nn.Module):
    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


def held(attribute: str, model: nn.Module) -> nn.Module:
    """The originals keep their layers in an attribute called `model`, or `net`."""
    return nn.Sequential(OrderedDict({attribute: model}))


def block(c: int, norm: Norm, biased: bool, dropout: bool, reflect: bool) -> Add:
    pad: list[nn.Module] = [nn.ReflectionPad2d(1)] if reflect else []
    drop: list[nn.Module] = [nn.Dropout(0.5)] if dropout else []
    conv1, conv2 = (nn.Conv2d(c, c, 3, padding=0 if reflect else 1, bias=biased) for _ in range(2))
    return Add([*pad, conv1, norm(c), nn.ReLU(), *drop, *pad, conv2, norm(c)])


def resnet(kind: str, blocks: int, *, dropout: bool = False, reflect: bool = True) -> nn.Module:
    norm, w, biased = NORMS[kind], 3, kind.startswith("instance")
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(2, w, 7, bias=biased), norm(w), nn.ReLU()]
    for c in (w, 2 * w):
        layers += [nn.Conv2d(c, 2 * c, 3, stride=2, padding=1, bias=biased), norm(2 * c), nn.ReLU()]
    layers += [block(4 * w, norm, biased, dropout, reflect) for _ in range(blocks)]
    for c in (4 * w, 2 * w):
        up = nn.ConvTranspose2d(c, c // 2, 3, stride=2, padding=1, output_padding=1, bias=biased)
        layers += [up, norm(c // 2), nn.ReLU()]
    return held("model", nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(w, 1, 7), nn.Tanh()))


def patchgan(kind: str, depth: int) -> nn.Module:
    norm, w, biased = NORMS[kind], 3, kind.startswith("instance")
    layers: list[nn.Module] = [nn.Conv2d(2, w, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    widths = [w * min(2**i, 8) for i in range(depth + 1)]
    for i in range(1, depth + 1):
        conv = nn.Conv2d(widths[i - 1], widths[i], 4, stride=2 if i < depth else 1, padding=1, bias=biased)
        layers += [conv, norm(widths[i]), nn.LeakyReLU(0.2)]
    return held("model", nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, padding=1)))


def pixelgan(kind: str) -> nn.Module:
    biased = kind.startswith("instance")
    first, second, third = nn.Conv2d(2, 3, 1), nn.Conv2d(3, 6, 1, bias=biased), nn.Conv2d(6, 1, 1, bias=biased)
    return held("net", nn.Sequential(first, nn.LeakyReLU(0.2), second, NORMS[kind](6), nn.LeakyReLU(0.2), third))


class Skip(nn.Module):
    def __init__(self, model: list[nn.Module], outermost: bool) -> None:
        super().__init__()
        self.model = nn.Sequential(*model)
        self.outermost = outermost

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


def unet(kind: str, depth: int) -> nn.Module:
    norm, w, biased = NORMS[kind], 2, kind.startswith("instance")
    widths = [w * min(2**i, 8) for i in range(depth)]
    inner: list[nn.Module] = []
    for i in reversed(range(depth)):
        c = widths[max(i - 1, 0)]
        down = nn.Conv2d(c if i else 2, widths[i], 4, stride=2, padding=1, bias=biased)
        wide = widths[i] * (1 if i == depth - 1 else 2)
        up = nn.ConvTranspose2d(wide, c if i else 1, 4, stride=2, padding=1, bias=biased or not i)
        before: list[nn.Module] = [nn.LeakyReLU(0.2, inplace=True), down] if i else [down]
        before += [norm(widths[i])] if 0 < i < depth - 1 else []
        after: list[nn.Module] = [nn.ReLU(), up, norm(c)] if i else [nn.ReLU(), up, nn.Tanh()]
        inner = [Skip([*before, *inner, *after], outermost=not i)]
    return held("model", inner[0])


def randomise(net: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    for tensor in net.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) - (0.5 if tensor.dim() > 1 else -0.1))
    return net.eval().requires_grad_(False)


def imported(state: dict[str, Tensor], x: Tensor) -> tuple[dict[str, Any], Tensor]:
    original, weights = convert_original(state)
    assert original.in_channels == 2
    assert original.out_channels == 1
    net = original.build()
    net.load_state_dict(weights)
    return original.network, net.to(x.dtype).eval()(x)


CASES = [
    *[(resnet(kind, 1), {"norm": kind, "blocks": 1}) for kind in NORMS],
    (resnet("instance", 0), {"blocks": 0, "downs": 2}),
    (resnet("instance", 4, dropout=True), {"blocks": 4, "dropout": 0.5, "padding": "reflect"}),
    (resnet("batch", 2, reflect=False), {"dropout": 0.0, "padding": "zeros", "upsample": "transposed"}),
    (resnet("batch", 2, dropout=True, reflect=False), {"dropout": 0.5, "padding": "zeros", "antialias": False}),
    *[(patchgan(kind, 2), {"norm": kind, "layers": 2}) for kind in NORMS],
    (patchgan("instance", 1), {"layers": 1}),
    (patchgan("batch", 5), {"layers": 5}),
    *[(pixelgan(kind), {"name": "pixelgan", "norm": kind, "width": 3}) for kind in NORMS],
    *[(unet(kind, 5), {"name": "unet", "norm": kind, "depth": 5, "width": 2}) for kind in NORMS],
    (unet("batch", 6), {"depth": 6}),
]


@pytest.mark.parametrize(("net", "wanted"), CASES, ids=lambda value: str(value) if isinstance(value, dict) else "")
def test_original_layouts(net: nn.Module, wanted: dict[str, Any]) -> None:
    x = torch.rand(2, 2, 128, 128, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2 - 1
    randomise(net)
    network, y = imported(dict(net.state_dict()), x)
    assert network.items() >= wanted.items()
    expected = net.double()(x)
    assert expected.std() > 0.01
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-9 * float(expected.abs().max()))


RENAMED: dict[str, Callable[[str], str]] = {
    "in parallel": lambda key: f"module.{key}",
    "compiled": lambda key: f"module._orig_mod.{key}",
    "vintagify's": lambda key: key.replace("conv_block", "block"),
}


@pytest.mark.parametrize("rename", RENAMED.values(), ids=RENAMED)
def test_keys_by_other_names(rename: Callable[[str], str]) -> None:
    state = resnet("instance_affine", 2).state_dict()
    plain, renamed = (convert_original(s)[1] for s in (state, {rename(key): value for key, value in state.items()}))
    assert plain.keys() == renamed.keys()
    assert all(torch.equal(plain[key], renamed[key]) for key in plain)


@pytest.mark.parametrize("affine", [False, True])
def test_statistics_of_old_instance_norms_are_ignored(affine: bool) -> None:
    kind = "instance_affine" if affine else "instance"
    net, x = randomise(resnet(kind, 1)), torch.rand(1, 2, 16, 16)
    state = dict(net.state_dict())
    for name, layer in net.named_modules():
        if isinstance(layer, nn.InstanceNorm2d):
            statistics = {"running_mean": torch.zeros(layer.num_features), "running_var": torch.ones(1)}
            state |= {f"{name}.{key}": value for key, value in statistics.items()}
    network, y = imported(state, x)
    assert network["norm"] == kind
    torch.testing.assert_close(y, net(x), rtol=0, atol=2e-5)


def test_batch_norm_from_before_batches_were_counted() -> None:
    state = {k: v for k, v in resnet("batch", 1).state_dict().items() if not k.endswith("num_batches_tracked")}
    original, _ = convert_original(state)
    assert original.network["norm"] == "batch"


ENORMOUS = {f"model.{i}.weight": torch.zeros(64, 3, 1, 1) for i in range(1, 40)}  # 18 halvings, 10^10 weights a layer


def edited(change: Callable[[dict[str, Tensor]], object]) -> dict[str, Tensor]:
    state = dict(resnet("instance", 1).state_dict())
    change(state)
    return state


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"backbone.weight": torch.zeros(1)}, "backbone.weight: the first key of a layout that is not known"),
        (edited(lambda s: s.update({"model.4.weight": torch.zeros(6, 3, 5, 5)})), r"model.4.weight: shape \(6, 3, 5"),
        (edited(lambda s: s.pop("model.7.bias")), "model.7.bias: nothing does not fit downs.1.conv.bias"),
        (edited(lambda s: s.update({"extra.weight": torch.zeros(1, 3, 7, 7)})), "extra.weight: one layer too many"),
        (edited(lambda s: s.update({"model.1.scale": torch.zeros(3)})), "model.1.scale: .* does not fit .*nothing"),
        ({"epoch": 3}, "'epoch' is not a tensor; save net.state_dict"),
        ({}, "holds no state_dict"),
        (ENORMOUS, r"model.1.weight: .* does not fit stem"),
    ],
    ids=["unknown", "shape", "missing", "extra layer", "extra tensor", "checkpoint", "empty", "enormous"],
)
def test_what_does_not_fit_is_named(state: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        convert_original(state)
