"""The forms in which convolutions are computed are the convolution, in every type, layout and direction."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

from viceversa.nets import convolutions
from viceversa.nets.convolutions import Conv3x3, Doubling, Halving, NarrowConv, choose_winograd, fixed_weights

LAYOUTS = [torch.contiguous_format, torch.channels_last]
NAMES = ["contiguous", "channels_last"]
LIMIT = {torch.float64: 1e-13, torch.float32: 3e-6, torch.bfloat16: 1e-2}


@pytest.fixture(autouse=True)
def _few_channels_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolutions, "ENOUGH", 1)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def make(mode: str, bias: bool = True) -> tuple[Conv3x3, nn.Conv2d]:
    """A convolution of ours and one of torch's with the same weights."""
    torch.manual_seed(0)
    ours, torchs = Conv3x3(5, 7, padding_mode=mode, bias=bias), nn.Conv2d(5, 7, 3, 1, 1, bias=bias, padding_mode=mode)
    choose_winograd(ours, True)
    torchs.load_state_dict(ours.state_dict())
    return ours, torchs.double()


def gradients(net: nn.Module, y: Tensor, x: Tensor, incoming: Tensor) -> list[Tensor]:
    return [y, *torch.autograd.grad(y, [x, *net.parameters()], incoming)]


def hold_equal(
    ours: nn.Module, torchs: nn.Module, values: Tensor, dtype: torch.dtype, layout: torch.memory_format,
    incoming: torch.memory_format, limit: float,
) -> None:  # fmt: skip
    """Results and gradients are within `limit`, relative, of those of torch's layer in float64."""
    torchs.load_state_dict(ours.state_dict())  # ours has torch's keys
    ours = ours.to(memory_format=layout).to(torch.float64 if dtype == torch.float64 else torch.float32)
    torchs, x = torchs.double(), values.clone().requires_grad_()
    y = torchs(x)
    slope = noise(*y.shape, seed=1)
    wanted = gradients(torchs, y, x, slope)
    x = values.to(next(ours.parameters()).dtype).contiguous(memory_format=layout).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        y = ours(x)
    assert y.dtype == dtype
    found = gradients(ours, y, x, slope.to(dtype).contiguous(memory_format=incoming))
    for a, b in zip(found, wanted, strict=True):
        assert (a.double() - b).norm() < limit * b.norm()


@pytest.mark.parametrize("size", [(8, 12), (6, 10), (7, 8)], ids=["tiles of 4", "tiles of 2", "direct"])
@pytest.mark.parametrize("mode", ["reflect", "replicate", "zeros"])
@pytest.mark.parametrize("incoming", LAYOUTS, ids=NAMES)
@pytest.mark.parametrize("layout", LAYOUTS, ids=NAMES)
@pytest.mark.parametrize("dtype", LIMIT)
def test_it_is_the_convolution_and_has_its_gradients(
    dtype: torch.dtype, layout: torch.memory_format, incoming: torch.memory_format, mode: str, size: tuple[int, int]
) -> None:
    hold_equal(*make(mode), noise(2, 5, *size).float().double(), dtype, layout, incoming, LIMIT[dtype])


OTHERS = {
    "few channels in": (lambda: NarrowConv(3, 9, 7, padding=3, padding_mode="reflect"),
                        lambda: nn.Conv2d(3, 9, 7, padding=3, padding_mode="reflect")),
    "few channels out": (lambda: NarrowConv(9, 3, 7, padding=3, padding_mode="reflect", bias=False),
                         lambda: nn.Conv2d(9, 3, 7, padding=3, padding_mode="reflect", bias=False)),
    "the head of a discriminator": (lambda: NarrowConv(9, 1, 4, padding=1), lambda: nn.Conv2d(9, 1, 4, padding=1)),
    "many on both sides": (lambda: NarrowConv(9, 9, 3, padding=1), lambda: nn.Conv2d(9, 9, 3, padding=1)),
    "halving": (lambda: Halving(3, 5), lambda: nn.Conv2d(3, 5, 4, 2, 1)),
    "doubling": (lambda: Doubling(3, 5, bias=False), lambda: nn.ConvTranspose2d(3, 5, 4, 2, 1, bias=False)),
}  # fmt: skip


@pytest.mark.parametrize("bottom", [1000, 1], ids=["at once", "direct"])
@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("incoming", LAYOUTS, ids=NAMES)
@pytest.mark.parametrize("layout", LAYOUTS, ids=NAMES)
@pytest.mark.parametrize("dtype", LIMIT)
def test_so_are_the_other_forms(
    dtype: torch.dtype, layout: torch.memory_format, incoming: torch.memory_format, kind: str, bottom: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(convolutions, "BOTTOM", bottom)
    torch.manual_seed(0)
    ours, torchs = (make_one() for make_one in OTHERS[kind])
    values = noise(2, next(ours.parameters()).shape[kind != "doubling"], 8, 6).float().double()
    hold_equal(ours, torchs, values, dtype, layout, incoming, LIMIT[dtype])


@pytest.mark.parametrize(
    ("kind", "layout", "form"),
    [
        ("few channels in", torch.channels_last, "from_few"),
        ("few channels out", torch.contiguous_format, "to_few"),
        ("the head of a discriminator", torch.channels_last, "to_few"),
        ("halving", torch.channels_last, "convolve"),
        ("doubling", torch.contiguous_format, "convolve_transposed"),
    ],
)
def test_the_form_is_what_runs(
    kind: str, layout: torch.memory_format, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, real = [], getattr(convolutions, form)
    monkeypatch.setattr(convolutions, form, lambda *args, **options: calls.append(args) or real(*args, **options))
    ours = OTHERS[kind][0]()
    channels = next(ours.parameters()).shape[kind != "doubling"]
    ours(torch.zeros(1, channels, 8, 8).contiguous(memory_format=layout))
    assert calls


def test_the_slope_of_a_discriminators_head_can_be_minimised() -> None:
    ours, torchs = OTHERS["the head of a discriminator"][0]().double(), nn.Conv2d(9, 1, 4, padding=1).double()
    torchs.load_state_dict(ours.state_dict())
    found = []
    for head in (ours, torchs):
        x = noise(2, 9, 8, 6).requires_grad_()
        (slope,) = torch.autograd.grad(head(x).square().sum(), x, create_graph=True)
        found.append(torch.autograd.grad(slope.square().sum(), head.weight)[0])
    torch.testing.assert_close(*found)


def test_winograd_is_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, _ = make("zeros")
    assert ours.tile(torch.zeros(1, 5, 8, 8)) == 4
    assert ours.tile(torch.zeros(1, 5, 8, 6)) == 2
    assert ours.tile(torch.zeros(1, 5, 8, 7)) is None
    assert ours.tile(torch.zeros(1, 5, 8, 8, dtype=torch.bfloat16)) == 2
    assert ours.tile(torch.zeros(1, 5, 8, 8, dtype=torch.float16)) is None
    assert ours.tile(torch.zeros(1, 5, 8, 8, device="meta")) is None
    with torch.no_grad():
        assert ours.tile(torch.zeros(1, 5, 8, 8, dtype=torch.bfloat16)) is None  # which only takes gradients by it
    choose_winograd(ours, False)
    assert ours.tile(torch.zeros(1, 5, 8, 8)) is None
    choose_winograd(ours, None)
    assert ours.tile(torch.zeros(1, 5, 8, 8)) == 4
    monkeypatch.setattr(convolutions, "ENOUGH", 6)
    assert ours.tile(torch.zeros(1, 5, 8, 8)) is None


@pytest.mark.parametrize("units", [False, True])
def test_matrix_units_multiply_faster_than_winograd_adds(units: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: units)
    assert convolutions.winograd_pays.__wrapped__(torch.bfloat16) is not units
    assert convolutions.winograd_pays.__wrapped__(torch.float32)


def test_weights_are_prepared_once_while_they_are_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    prepare = convolutions.from_filter
    monkeypatch.setattr(convolutions, "from_filter", lambda *args: calls.append(args) or prepare(*args))
    ours, torchs = make("reflect")
    ours.double()
    x = noise(1, 5, 8, 8).requires_grad_()
    with fixed_weights():
        y = ours(x) + ours(2 * x)
        with torch.no_grad():
            ours(x)
        assert len(calls) == 1
    found, wanted = (gradients(net, z, x, y.detach()) for net, z in ((ours, y), (torchs, torchs(x) + torchs(2 * x))))
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b)
    assert len(calls) == 1

    with torch.no_grad(), fixed_weights():
        ours.weight.mul_(2)
        torch.testing.assert_close(ours(x) - ours.bias.view(-1, 1, 1), 2 * torchs(x) - 2 * torchs.bias.view(-1, 1, 1))


def test_a_compiler_sees_an_ordinary_convolution() -> None:
    ours, _ = make("reflect")
    program = torch.export.export(ours.eval(), (torch.zeros(1, 5, 8, 8),))
    assert "conv2d" in str(program.graph)
    program = torch.export.export(OTHERS["few channels out"][0](), (torch.zeros(1, 9, 8, 8),))
    assert "chunk" not in str(program.graph)


def test_large_batches_go_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, torchs = make("reflect")
    ours.double()
    x = noise(3, 5, 8, 8).requires_grad_()
    assert ours.together(x, 4) >= 3
    monkeypatch.setattr(convolutions, "ROOM", 2 * 4 * 36 * 7 * 8)
    assert ours.together(x, 4) == 2
    for a, b in zip(*(gradients(net, net(x), x, noise(3, 7, 8, 8, seed=1)) for net in (ours, torchs)), strict=True):
        torch.testing.assert_close(a, b)


def test_memory_taken_while_translating_serves_training() -> None:
    ours, torchs = make("reflect")
    ours.double()
    x = noise(2, 5, 16, 16)
    with torch.inference_mode():
        ours(x)
    for size in (16, 8):  # what is larger than needed serves, too
        part = x[..., :size, :size].clone().requires_grad_()
        for a, b in zip(
            *(gradients(net, net(part), part, torch.ones_like(net(part))) for net in (ours, torchs)), strict=True
        ):
            torch.testing.assert_close(a, b)


def test_threads_do_not_share_memory() -> None:
    ours, torchs = make("reflect")
    ours.double()
    pictures = [noise(1, 5, 32, 32, seed=seed) for seed in range(16)]
    with ThreadPoolExecutor(4) as threads, torch.no_grad():
        found = list(threads.map(lambda x: [ours(x) for _ in range(8)], pictures))
        for x, results in zip(pictures, found, strict=True):
            for result in results:
                torch.testing.assert_close(result, torchs(x))


def test_only_the_picture_is_kept_for_the_gradients() -> None:
    ours, _ = make("reflect")
    x = torch.rand(1, 5, 8, 8).requires_grad_()
    kept: list[Tensor] = []
    with fixed_weights(), torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        ours(x)
    assert [tuple(t.shape) for t in kept] == [(1, 5, 8, 8), (36, 5, 7)]
