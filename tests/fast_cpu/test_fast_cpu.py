"""The forms in which a CPU computes layers are torch's own layers, in every type, layout and direction."""

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, spectral_norm
from torch.utils.flop_counter import FlopCounterMode

from viceversa import fast_cpu
from viceversa.config import TrainConfig
from viceversa.engine.ema import Ema
from viceversa.engine.optimizers import make_optimizer
from viceversa.fast_cpu import accelerate, best_form, winograd
from viceversa.fast_cpu.convolutions import Product, StackedResults
from viceversa.fast_cpu.winograd import Winograd
from viceversa.nets import Discriminator, Generator
from viceversa.nets.blocks import BlurDown, BlurUp

LAYOUTS = [torch.contiguous_format, torch.channels_last]
NAMES = ["contiguous", "channels_last"]
LIMIT = {torch.float64: 1e-13, torch.float32: 3e-6, torch.bfloat16: 1e-2}


def with_another_filter(blur: BlurUp) -> BlurUp:
    blur.filter.normal_()
    return blur


LAYERS: dict[str, tuple[type, Callable[[], nn.Module]]] = {
    "3x3": (Winograd, lambda: nn.Conv2d(5, 7, 3, padding=1)),
    "3x3, reflect": (Winograd, lambda: nn.Conv2d(5, 7, 3, padding=1, padding_mode="reflect", bias=False)),
    "3x3, replicate": (Winograd, lambda: nn.Conv2d(5, 7, 3, padding=1, padding_mode="replicate")),
    "few in": (type(None), lambda: nn.Conv2d(3, 9, 7, padding=3, padding_mode="reflect")),
    "few out": (StackedResults, lambda: nn.Conv2d(9, 3, 7, padding=3, padding_mode="reflect", bias=False)),
    "a discriminator's head": (StackedResults, lambda: nn.Conv2d(9, 1, 4, padding=1)),
    "halving": (Product, lambda: nn.Conv2d(3, 5, 4, 2, 1)),
    "doubling": (Product, lambda: nn.ConvTranspose2d(3, 5, 4, 2, 1, bias=False)),
    "4x4": (Product, lambda: nn.Conv2d(9, 10, 4, padding=1)),
    "strided": (type(None), lambda: nn.Conv2d(4, 4, 3, padding=1, stride=2)),
    "strided, transposed": (type(None), lambda: nn.ConvTranspose2d(4, 5, 3, 2, 1, output_padding=1)),
}
OTHERS: dict[str, Callable[[], nn.Module]] = {
    "grouped": lambda: nn.Conv2d(4, 4, 3, padding=1, groups=2),
    "dilated": lambda: nn.Conv2d(4, 4, 3, padding=1, dilation=2),
    "oblong": lambda: nn.Conv2d(4, 4, (3, 5), padding=1),
    "circular": lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
    "by name": lambda: nn.Conv2d(4, 4, 3, padding="same"),
}
BLURS: dict[str, Callable[[], nn.Module]] = {
    "blurred down": lambda: BlurDown(5),
    "blurred up": lambda: BlurUp(5),
    "blurred up otherwise": lambda: with_another_filter(BlurUp(5)),
}
MAKE = {name: make for name, (_, make) in LAYERS.items()} | OTHERS | BLURS


@pytest.fixture(autouse=True)
def _small_layers_are_large_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_cpu, "WINOGRAD_CHANNELS", 1)
    monkeypatch.setattr(fast_cpu, "WINOGRAD_PIXELS", 1)
    monkeypatch.setattr(fast_cpu, "WIDE_FILTER", 1)


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
    net = Wrapped(MAKE[name]())
    plain = copy.deepcopy(net.layer).double()
    accelerate(net)
    return net.layer, plain


def gradients(net: nn.Module, y: Tensor, x: Tensor, incoming: Tensor) -> list[Tensor]:
    return [y, *torch.autograd.grad(y, [x, *net.parameters()], incoming)]


def channels_of(layer: nn.Module) -> int:
    return layer.in_channels if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) else 5


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_rule(name: str, dtype: torch.dtype) -> None:
    ours, plain = make(name)
    x = noise(1, channels_of(plain), 8, 8).to(dtype).contiguous(memory_format=torch.channels_last)
    wanted = LAYERS[name][0]
    assert type(best_form(ours, x)) is (type(None) if wanted is Winograd and dtype == torch.bfloat16 else wanted)
    assert best_form(ours, x.half()) is best_form(ours, x.to("meta")) is None
    assert list(ours.state_dict()) == list(plain.state_dict())
    for twin in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert type(twin) is type(ours)


@pytest.mark.parametrize("name", [name for name, (form, _) in LAYERS.items() if form in (Product, StackedResults)])
def test_gradients_that_nobody_asked_for_are_not_computed(name: str) -> None:
    ours, plain = make(name)
    ours, x = ours.double(), noise(1, channels_of(plain), 8, 8).requires_grad_()
    work = []
    for inputs in ([x], [x, *ours.parameters()]):
        y = ours(x)
        with FlopCounterMode(display=False) as counter:
            y.sum().backward(inputs=inputs)
        work.append(counter.get_total_flops())
    assert 0 < work[0] <= 0.6 * work[1]


@pytest.mark.parametrize("name", OTHERS)
def test_other_layers_stay(name: str) -> None:
    ours, plain = make(name)
    assert type(ours) is type(plain)


@pytest.mark.parametrize("size", [(8, 12), (6, 10), (7, 9)], ids=["whole tiles", "parts of tiles", "odd"])
@pytest.mark.parametrize(
    ("name", "few_pixels"), [*((name, 1000) for name in [*LAYERS, *BLURS]), ("halving", 1), ("doubling", 1)]
)
@pytest.mark.parametrize("incoming", LAYOUTS, ids=NAMES)
@pytest.mark.parametrize("layout", LAYOUTS, ids=NAMES)
@pytest.mark.parametrize("dtype", LIMIT)
def test_results_and_gradients_are_those_of_torchs_layer(
    dtype: torch.dtype, layout: torch.memory_format, incoming: torch.memory_format, name: str, few_pixels: int,
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(fast_cpu, "FEW_PIXELS", few_pixels)
    ours, plain = make(name)
    own_dtype = torch.float64 if dtype == torch.float64 else torch.float32
    ours = ours.to(own_dtype, memory_format=layout)
    values = noise(2, channels_of(plain), *size).bfloat16().double()
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


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("square", [False, True], ids=["linear", "not linear"])
def test_gradients_can_be_differentiated(name: str, square: bool) -> None:
    """As a gradient penalty does; of a linear layer the gradient's own incoming gradient asks for none."""
    ours, plain = make(name)
    found = []
    for layer in (ours.double(), plain):
        x = noise(2, channels_of(plain), 8, 8).requires_grad_()
        y = layer(x)
        (slope,) = torch.autograd.grad((y * (y if square else noise(*y.shape, seed=1))).sum(), x, create_graph=True)
        inputs = [x, *layer.parameters()]  # of a linear layer neither x nor the bias matters, and torch leaves them out
        second = torch.autograd.grad(slope.square().sum(), inputs, allow_unused=True)
        found.append([torch.zeros_like(a) if b is None else b for a, b in zip(inputs, second, strict=True)])
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("normalise", [spectral_norm, parametrizations.spectral_norm], ids=["hook", "parametrization"])
@pytest.mark.parametrize("name", ["3x3", "few out", "halving"])
def test_a_spectral_norm_takes_one_power_iteration_a_pass(
    name: str, normalise: Callable[[nn.Module], nn.Module], when: str
) -> None:
    torch.manual_seed(0)
    plain, net = MAKE[name](), Wrapped(MAKE[name]())
    net.layer.load_state_dict(plain.state_dict())
    if when == "after":
        accelerate(net)
    for layer in (plain, net.layer):
        torch.manual_seed(1)
        normalise(layer)
    accelerate(net)
    x = noise(1, channels_of(plain), 8, 8).float()
    for _ in range(3):
        torch.testing.assert_close(net(x), plain(x))
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(net.layer.state_dict()[key], value)


def test_narrow_products_are_for_generators(monkeypatch: pytest.MonkeyPatch) -> None:
    class Judge(Discriminator):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 5, 4, 2, 1)

    monkeypatch.setattr(fast_cpu, "WIDE_FILTER", 1000)
    net = Judge()
    accelerate(net)
    assert best_form(net.layer, torch.zeros(1, 3, 8, 8)) is None
    assert best_form(make("halving")[0], torch.zeros(1, 3, 8, 8)) == Product()


def optimise(net: nn.Module, name: str) -> None:
    optimizer = make_optimizer(TrainConfig(optimizer=name, lr=0.1), list(net.parameters()), torch.device("cpu"))
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()


def average(net: Wrapped) -> None:
    ema, other = Ema({"AtoB": net}, 0.9, "running"), copy.deepcopy(net)
    nn.init.ones_(other.layer.weight)
    ema.copies["AtoB"] = net.requires_grad_(False)
    ema.update({"AtoB": other}, 5)
    net.requires_grad_(True)


CHANGES: dict[str, Callable[[Wrapped], object]] = {
    **{name: partial(optimise, name=name) for name in ("adam", "sgd", "ngd")},
    "load": lambda net: net.load_state_dict({key: value + 1 for key, value in net.state_dict().items()}),
    "in place": lambda net: nn.init.ones_(net.layer.weight),
    "other numbers": lambda net: setattr(net.layer.weight, "data", net.layer.weight.data + 1),
    "other layout": lambda net: net.to(memory_format=torch.channels_last),
    "average": average,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("translate_first", [False, True])
@pytest.mark.parametrize("name", ["3x3", "few out", "halving"])
def test_changed_weights_are_prepared_anew(name: str, translate_first: bool, change: str) -> None:
    ours, _ = make(name)
    net = Wrapped(ours)
    x = noise(1, channels_of(ours), 8, 8).float()
    with torch.inference_mode(translate_first):
        ours(x)
    CHANGES[change](net)
    plain = MAKE[name]()
    plain.load_state_dict(ours.state_dict())
    x, wanted = x.requires_grad_(), x.detach().double().requires_grad_()
    y, z = ours(x), plain.double()(wanted)
    for a, b in zip(gradients(ours, y, x, y.detach()), gradients(plain, z, wanted, y.detach().double()), strict=True):
        assert (a.double() - b).norm() < 2 * LIMIT[torch.float32] * b.norm()


def test_weights_are_prepared_once_between_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, _ = make("3x3")
    x = noise(1, 5, 8, 8).float()
    made = []
    plain = winograd.from_filter
    monkeypatch.setattr(winograd, "from_filter", lambda *args: made.append(1) or plain(*args))
    for _ in range(3):
        ours(x.requires_grad_()).sum().backward()
    assert len(made) == 1


def test_a_layer_that_is_gone_leaves_no_prepared_weights_to_another() -> None:
    x = noise(1, 5, 8, 8)
    with torch.no_grad():
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


@pytest.mark.parametrize("images", [2, 100])
def test_memory_taken_while_translating_serves_training(images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is larger than needed serves, too; a batch for which there is no room goes in parts."""
    monkeypatch.setattr(winograd, "ROOM", images * 16 * 36 * 7 * 8)
    ours, plain = make("3x3")
    ours.double()
    x = noise(3, 5, 16, 16)
    with torch.inference_mode():
        ours(x)
    for size in (16, 8):
        part, slope = x[..., :size, :size].clone().requires_grad_(), noise(3, 7, size, size, seed=1)
        for a, b in zip(*(gradients(net, net(part), part, slope) for net in (ours, plain)), strict=True):
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
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        ours(x)
    assert [tuple(t.shape) for t in kept] == [(1, 5, 8, 8), (7, 5, 3, 3), (36, 5, 7)]
