"""The forms in which a CPU computes layers are torch's own layers, in every type, layout and direction."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, spectral_norm

from viceversa.fast_cpu import accelerate, convolutions, fixed_weights
from viceversa.fast_cpu.convolutions import ProductConv2d, ProductConvTranspose2d, StackedConv2d, WinogradConv2d
from viceversa.nets import Discriminator, Generator
from viceversa.nets.layers import BlurDown, BlurUp

LAYOUTS = [torch.contiguous_format, torch.channels_last]
NAMES = ["contiguous", "channels_last"]
LIMIT = {torch.float64: 1e-13, torch.float32: 3e-6, torch.bfloat16: 1e-2}


def with_another_filter(blur: BlurUp) -> BlurUp:
    blur.filter.normal_()
    return blur


LAYERS: dict[str, tuple[type[nn.Module] | None, Callable[[], nn.Module]]] = {
    "3x3": (WinogradConv2d, lambda: nn.Conv2d(5, 7, 3, padding=1)),
    "3x3, reflect": (WinogradConv2d, lambda: nn.Conv2d(5, 7, 3, padding=1, padding_mode="reflect", bias=False)),
    "3x3, replicate": (WinogradConv2d, lambda: nn.Conv2d(5, 7, 3, padding=1, padding_mode="replicate")),
    "few in": (StackedConv2d, lambda: nn.Conv2d(3, 9, 7, padding=3, padding_mode="reflect")),
    "few out": (StackedConv2d, lambda: nn.Conv2d(9, 3, 7, padding=3, padding_mode="reflect", bias=False)),
    "a discriminator's head": (StackedConv2d, lambda: nn.Conv2d(9, 1, 4, padding=1)),
    "halving": (ProductConv2d, lambda: nn.Conv2d(3, 5, 4, 2, 1)),
    "doubling": (ProductConvTranspose2d, lambda: nn.ConvTranspose2d(3, 5, 4, 2, 1, bias=False)),
    "blurred down": (convolutions.FastBlurDown, lambda: BlurDown(5)),
    "blurred up": (convolutions.FastBlurUp, lambda: BlurUp(5)),
    "blurred up otherwise": (convolutions.FastBlurUp, lambda: with_another_filter(BlurUp(5))),
    "many, 7x7": (None, lambda: nn.Conv2d(9, 9, 7, padding=3)),
    "1x1": (None, lambda: nn.Conv2d(9, 1, 1)),
    "grouped": (None, lambda: nn.Conv2d(4, 4, 3, padding=1, groups=2)),
    "dilated": (None, lambda: nn.Conv2d(4, 4, 3, padding=1, dilation=2)),
    "strided": (None, lambda: nn.Conv2d(4, 4, 3, padding=1, stride=2)),
    "oblong": (None, lambda: nn.Conv2d(4, 4, (3, 5), padding=1)),
    "circular": (None, lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular")),
    "by name": (None, lambda: nn.Conv2d(4, 4, 3, padding="same")),
}
FAST = [name for name, (form, _) in LAYERS.items() if form]


@pytest.fixture(autouse=True)
def _few_channels_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolutions, "WINOGRAD_CHANNELS", 1)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Wrapped(Generator):
    """A generator of one layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


def make(name: str) -> tuple[nn.Module, nn.Module]:
    """A layer in its fast form, and torch's with the same weights in float64."""
    torch.manual_seed(0)
    net = Wrapped(LAYERS[name][1]())
    plain = copy.deepcopy(net.layer).double()
    accelerate(net)
    return net.layer, plain


def gradients(net: nn.Module, y: Tensor, x: Tensor, incoming: Tensor) -> list[Tensor]:
    return [y, *torch.autograd.grad(y, [x, *net.parameters()], incoming)]


def channels_of(layer: nn.Module) -> int:
    return layer.in_channels if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) else 5


@pytest.mark.parametrize("name", LAYERS)
def test_the_rule(name: str) -> None:
    ours, plain = make(name)
    assert type(ours) is (LAYERS[name][0] or type(plain))
    assert list(ours.state_dict()) == list(plain.state_dict())
    for twin in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert type(twin) is type(ours)


@pytest.mark.parametrize("size", [(8, 12), (6, 10), (7, 8)], ids=["tiles of 4", "tiles of 2", "odd"])
@pytest.mark.parametrize(("name", "few_pixels"), [*((name, 1000) for name in FAST), ("halving", 1), ("doubling", 1)])
@pytest.mark.parametrize("incoming", LAYOUTS, ids=NAMES)
@pytest.mark.parametrize("layout", LAYOUTS, ids=NAMES)
@pytest.mark.parametrize("dtype", LIMIT)
def test_results_and_gradients_are_those_of_torchs_layer(
    dtype: torch.dtype, layout: torch.memory_format, incoming: torch.memory_format, name: str, few_pixels: int,
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(convolutions, "FEW_PIXELS", few_pixels)
    ours, plain = make(name)
    own_dtype = torch.float64 if dtype == torch.float64 else torch.float32
    ours = ours.to(own_dtype, memory_format=layout)
    values = noise(2, channels_of(plain), *size).float().double()
    x = values.clone().requires_grad_()
    y = plain(x)
    slope = noise(*y.shape, seed=1).to(dtype)
    wanted = gradients(plain, y, x, slope.double())
    x = values.to(own_dtype).contiguous(memory_format=layout).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        y = ours(x)
    assert y.dtype == dtype
    found = gradients(ours, y, x, slope.contiguous(memory_format=incoming))
    for a, b in zip(found, wanted, strict=True):
        assert (a.double() - b).norm() < LIMIT[dtype] * b.norm()


@pytest.mark.parametrize("name", ["3x3", "3x3, reflect", "few out", "a discriminator's head"])
@pytest.mark.parametrize("square", [False, True], ids=["linear", "not linear"])
def test_gradients_can_be_differentiated(name: str, square: bool) -> None:
    """As a gradient penalty does; of a linear layer the gradient's own incoming gradient asks for none."""
    ours, plain = make(name)
    found = []
    for layer in (ours.double(), plain):
        x = noise(2, channels_of(plain), 8, 8).requires_grad_()
        y = layer(x)
        (slope,) = torch.autograd.grad((y.square() if square else y).sum(), x, create_graph=True)
        found.append(torch.autograd.grad(slope.square().sum(), layer.weight)[0])
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("normalise", [spectral_norm, parametrizations.spectral_norm], ids=["hook", "parametrization"])
@pytest.mark.parametrize("name", ["3x3", "few out", "halving"])
def test_a_spectral_norm_takes_one_power_iteration_a_pass(
    name: str, normalise: Callable[[nn.Module], nn.Module], when: str
) -> None:
    torch.manual_seed(0)
    plain, net = LAYERS[name][1](), Wrapped(LAYERS[name][1]())
    net.layer.load_state_dict(plain.state_dict())
    if when == "after":
        accelerate(net)
    for layer in (plain, net.layer):
        torch.manual_seed(1)
        normalise(layer)
    accelerate(net)
    x = noise(1, channels_of(plain), 8, 8).float()
    with fixed_weights():
        for _ in range(3):
            torch.testing.assert_close(net(x), plain(x))
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(net.layer.state_dict()[key], value)


def test_discriminators_keep_their_strides() -> None:
    class Judge(Discriminator):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 5, 4, 2, 1)

    net = Judge()
    accelerate(net)
    assert type(net.layer) is nn.Conv2d


def test_where_winograd_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, _ = make("3x3")
    assert isinstance(ours, WinogradConv2d)
    assert ours.tile(torch.zeros(1, 5, 8, 8)) == 4
    assert ours.tile(torch.zeros(1, 5, 8, 6)) == 2
    assert ours.tile(torch.zeros(1, 5, 8, 7)) is None
    assert ours.tile(torch.zeros(1, 5, 8, 8, dtype=torch.float16)) is None
    assert ours.tile(torch.zeros(1, 5, 8, 8, device="meta")) is None
    rule = convolutions.winograd_pays.__wrapped__
    for matrix_units in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda units=matrix_units: units)
        monkeypatch.setattr(convolutions, "winograd_pays", rule)
        assert ours.tile(torch.zeros(1, 5, 8, 8, dtype=torch.bfloat16)) == (None if matrix_units else 2)
    for low_precision, tile in ((False, None), (True, 2)):
        accelerate(ours, low_precision=low_precision)
        with torch.no_grad():  # without gradients to gain, only if it may round more
            assert ours.tile(torch.zeros(1, 5, 8, 8, dtype=torch.bfloat16)) == tile


def test_weights_are_prepared_once_while_they_are_fixed() -> None:
    ours, plain = make("3x3")
    ours.double()
    x = noise(1, 5, 8, 8).requires_grad_()
    with fixed_weights():
        y = ours(x) + ours(2 * x)
    found, wanted = (gradients(net, z, x, y.detach()) for net, z in ((ours, y), (plain, plain(x) + plain(2 * x))))
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b)
    with torch.no_grad(), fixed_weights():
        first = ours(x)
        ours.weight.mul_(2)  # against the promise
        assert torch.equal(ours(x), first)
    torch.testing.assert_close(ours(x) - ours.bias.view(-1, 1, 1), 2 * (plain(x) - plain.bias.view(-1, 1, 1)))


def test_a_layer_that_is_gone_leaves_no_prepared_weights_to_another() -> None:
    x = noise(1, 5, 8, 8)
    with fixed_weights(), torch.no_grad():
        for seed in range(50):
            torch.manual_seed(seed)
            layer = nn.Conv2d(5, 7, 3, padding=1).double()
            wanted = layer(x)
            accelerate(layer)
            torch.testing.assert_close(layer(x), wanted)
            del layer


def test_a_compiler_sees_ordinary_layers() -> None:
    program = torch.export.export(make("3x3")[0].eval(), (torch.zeros(1, 5, 8, 8),))
    assert "conv2d" in str(program.graph)
    program = torch.export.export(make("few out")[0], (torch.zeros(1, 9, 8, 8),))
    assert "chunk" not in str(program.graph)


def test_large_batches_go_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, plain = make("3x3")
    ours.double()
    x = noise(3, 5, 8, 8).requires_grad_()
    assert ours.together(x, 4) >= 3
    monkeypatch.setattr(convolutions, "ROOM", 2 * 4 * 36 * 7 * 8)
    assert ours.together(x, 4) == 2
    for a, b in zip(*(gradients(net, net(x), x, noise(3, 7, 8, 8, seed=1)) for net in (ours, plain)), strict=True):
        torch.testing.assert_close(a, b)


def test_memory_taken_while_translating_serves_training() -> None:
    ours, plain = make("3x3")
    ours.double()
    x = noise(2, 5, 16, 16)
    with torch.inference_mode():
        ours(x)
    for size in (16, 8):  # what is larger than needed serves, too
        part = x[..., :size, :size].clone().requires_grad_()
        for a, b in zip(
            *(gradients(net, net(part), part, torch.ones_like(net(part))) for net in (ours, plain)), strict=True
        ):
            torch.testing.assert_close(a, b)


def test_threads_do_not_share_memory() -> None:
    ours, plain = make("3x3")
    ours.double()
    images = [noise(1, 5, 32, 32, seed=seed) for seed in range(16)]
    with ThreadPoolExecutor(4) as threads, torch.no_grad():
        found = list(threads.map(lambda x: [ours(x) for _ in range(8)], images))
        for x, results in zip(images, found, strict=True):
            for result in results:
                torch.testing.assert_close(result, plain(x))


def test_only_the_image_is_kept_for_the_gradients() -> None:
    ours, _ = make("3x3")
    x = torch.rand(1, 5, 8, 8).requires_grad_()
    kept: list[Tensor] = []
    with fixed_weights(), torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        ours(x)
    assert [tuple(t.shape) for t in kept] == [(1, 5, 8, 8), (7, 5, 3, 3), (36, 5, 7)]
