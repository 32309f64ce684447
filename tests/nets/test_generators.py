"""What the generators' options do."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from viceversa.nets import GENERATORS, VariationalGenerator
from viceversa.nets.layers import Clamp, init_weights, standardise
from viceversa.nets.resnet import ResNetGenerator
from viceversa.nets.unet import UNetGenerator
from viceversa.nets.vae import VAE1, VAEGAN, ResNetVAE, ResVAE


def images(side: int = 16, channels: int = 3, batch: int = 2) -> Tensor:
    return torch.rand(batch, channels, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def parameters(net: nn.Module) -> float:
    return sum(p.numel() for p in net.parameters()) / 1e6


@pytest.mark.parametrize(
    ("cls", "options", "millions"),
    [
        (ResNetGenerator, {}, 11.378),
        (ResNetGenerator, {"blocks": 6}, 7.838),
        (UNetGenerator, {}, 54.414),
        (UNetGenerator, {"depth": 7}, 41.829),
        (ResNetVAE, {}, 31.54),
        (VAE1, {"size": 128}, 11.84),
        (VAEGAN, {"size": 128}, 25.4),
        (ResVAE, {}, 51.0),
    ],
)
def test_parameter_counts_are_the_originals(cls: type[nn.Module], options: dict[str, Any], millions: float) -> None:
    with torch.device("meta"):
        count = parameters(cls(3, 3, **options))
    digits = len(str(millions).partition(".")[2])
    assert round(count, digits) == millions


@pytest.mark.parametrize(
    "options",
    [
        {"antialias": True, "upsample": "blur"},
        {"upsample": "resize"},
        {"upsample": "pixelshuffle"},
        {"norm": "batch"},
        {"norm": "instance_affine"},
        {"norm": "standardised", "upsample": "resize"},
        {"skip": True},
        {"skip": True, "mask": True},
        {"relight": True},
        {"relight": True, "mask": True},
        {"padding": "zeros"},
        {"downs": 0},
        {"downs": 3, "blocks": 0},
        {"mask": True},
        {"output_norm": True},
        {"output": "clamp"},
        {"dropout": 0.5},
    ],
    ids=str,
)
def test_resnet_options_change_the_answer_and_train(options: dict[str, Any]) -> None:
    def answer(**changed: Any) -> Tensor:
        torch.manual_seed(0)
        net = ResNetGenerator(3, 3, **{"width": 4, "blocks": 1, **changed})
        init_weights(net, "xavier", 1.0)
        y = net(images())
        y.square().mean().backward()
        assert y.shape == (2, 3, 16, 16)
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
        return y.detach()

    changes = options != {"norm": "instance_affine"}  # which is the same until its scales are trained
    assert torch.allclose(answer(**options), answer(), atol=1e-3) is not changes


def test_mask_starts_open_and_mixes_with_the_input() -> None:
    torch.manual_seed(0)
    net, x = ResNetGenerator(3, 3, width=8, blocks=1, mask=True), images()
    init_weights(net, "normal", 0.02)
    mask = net.attention(x)
    assert ResNetGenerator(3, 3, width=4, blocks=0).attention(x) is None
    assert mask.shape == (2, 1, 16, 16)
    assert mask.mean().item() == pytest.approx(0.88, abs=0.03)
    content, _ = net.paint(x, net.blocks(net.downs(net.stem(x))))
    torch.testing.assert_close(net(x), mask * content + (1 - mask) * x)
    net.head.bias.data[-1] = -50.0  # shut
    torch.testing.assert_close(net(x), x)


def test_standardised_weights_need_no_statistics_of_the_picture() -> None:
    """What lies far away changes nothing; with instance norm it does."""
    torch.manual_seed(0)
    x, other = images(64, batch=1), images(64, batch=1)
    other[..., 32:] = 1.0
    for norm, same in {"standardised": True, "instance": False}.items():
        net = ResNetGenerator(3, 3, width=4, blocks=1, upsample="resize", norm=norm)
        init_weights(net, "normal", 0.02)
        standardise(net)
        assert torch.allclose(net(x)[..., :8], net(other)[..., :8], atol=1e-6) is same
    with pytest.raises(ValueError, match="use upsample=resize or blur"):
        ResNetGenerator(3, 3, norm="standardised")


def test_the_head_sees_what_is_skipped_and_copies_it_at_first() -> None:
    for output, expected in (("tanh", torch.tanh(1.2 * images()[:, :2])), ("clamp", images()[:, :2])):
        plain, net = (ResNetGenerator(3, 2, width=4, blocks=1, skip=skip, output=output) for skip in (False, True))
        assert net.state_dict().keys() - plain.state_dict().keys() == {"skip.weight", "skip.bias"}
        assert (plain.head.in_channels, net.head.in_channels) == (4, 4 + 3 + 8)
        nn.init.zeros_(net.head.weight)
        nn.init.zeros_(net.head.bias)
        net.adjust_first_weights()
        torch.testing.assert_close(net(images()), expected)


def test_light_is_a_factor_of_all_channels() -> None:
    net = ResNetGenerator(3, 3, width=4, blocks=1, skip=True, relight=True, output="clamp")
    nn.init.zeros_(net.head.weight)
    nn.init.zeros_(net.head.bias)
    net.adjust_first_weights()
    for light in (0.0, -0.75, -1.0):
        nn.init.constant_(net.head.bias[-1:], light)
        torch.testing.assert_close(net(images()), (images() + 1) * (1 + light) - 1)
    with pytest.raises(ValueError, match="turn relight off"):
        ResNetGenerator(3, 2, relight=True)


def test_a_clamped_output_can_leave_its_bounds_inwards_only() -> None:
    raw = torch.tensor([-9.0, -9.0, 0.5, 9.0, 9.0], requires_grad=True)
    bounded = Clamp()(raw)
    bounded.backward(torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0]))  # descent goes the other way
    assert bounded.tolist() == [-1, -1, 0.5, 1, 1]
    assert raw.grad.tolist() == [0, -1, 1, 1, 0]


def test_output_norm_takes_away_brightness_and_contrast() -> None:
    torch.manual_seed(0)
    net = ResNetGenerator(3, 3, width=8, blocks=1, output_norm=True)
    net.head.bias.data.fill_(3.0)
    raw = torch.atanh(net(images()).double().clamp(-1 + 1e-7, 1 - 1e-7))
    assert raw.mean((2, 3)).abs().max() < 1e-3
    assert (raw.var((2, 3), unbiased=False) - 1).abs().max() < 1e-2
    plain = ResNetGenerator(3, 3, width=8, blocks=1)
    plain.head.bias.data.fill_(3.0)
    assert plain(images()).mean() > 0.9


def test_unet_has_dropout_in_its_widest_levels() -> None:
    def active(depth: int) -> list[float]:
        return [m.p for m in UNetGenerator(1, 1, width=1, depth=depth).ups.modules() if isinstance(m, nn.Dropout)]

    assert active(8) == [0.0, 0.5, 0.5, 0.5, 0.0, 0.0, 0.0]
    assert active(7) == [0.0, 0.5, 0.5, 0.0, 0.0, 0.0]
    assert active(3) == [0.0, 0.0]


@pytest.mark.parametrize("upsample", ["resize", "blur"])
def test_a_unet_without_transposed_convolutions_leaves_no_grid(upsample: Any) -> None:
    """Of a flat picture in the middle of a flat map, they make stripes; a resized map stays flat."""
    torch.manual_seed(0)
    options = {"width": 4, "depth": 2, "norm": "none", "dropout": 0.0}
    grids = []
    for kind in ("transposed", upsample):
        net = UNetGenerator(3, 3, upsample=kind, **options)
        init_weights(net, "xavier", 1.0)
        middle = net(torch.full((1, 3, 64, 64), 0.5))[..., 24:40, 24:40]
        grids.append(middle.std((2, 3)).mean().item())
    assert grids[0] > 1e-3
    assert grids[1] < 1e-6


VARIATIONAL = {name: cls for name, cls in GENERATORS.items() if issubclass(cls, VariationalGenerator)}
every = pytest.mark.parametrize("cls", VARIATIONAL.values(), ids=VARIATIONAL.keys())


def build(cls: type[VariationalGenerator]) -> VariationalGenerator:
    torch.manual_seed(0)
    size = {"size": 32} if cls in (VAE1, VAEGAN) else {}
    return cls(3, 3, width=8, latent=6, **size)


@every
@pytest.mark.parametrize(("value", "clamped"), [(-1e4, -30.0), (1e4, 20.0)])
def test_logvar_is_clamped(cls: type[VariationalGenerator], value: float, clamped: float) -> None:
    net = build(cls)
    for layer in net.logvar.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.constant_(layer.bias, value)
    assert torch.all(net.encode(images(32))[1] == clamped)


@every
def test_takes_any_multiple_or_is_tied_to_one_size(cls: type[VariationalGenerator]) -> None:
    net, x = build(cls), torch.zeros(1, 3, 32, 64)
    if cls in (ResNetVAE, ResVAE):
        assert net.size is None
        size = (1, 3, 2 * net.multiple, 3 * net.multiple)
        assert net(torch.zeros(size)).shape == size
        return
    assert net.size == net.multiple == 32
    for call in (net, net.encode, lambda x: net.features(x, ["down1"])):
        with pytest.raises(ValueError, match="tied to 32x32 px and was given 64x32"):
            call(x)
