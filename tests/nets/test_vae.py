"""The variational generators' common face."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import Tensor, nn

from viceversa.nets import GENERATORS, VAE1, VAEGAN, ResNetVAE, ResVAE, VariationalGenerator

VARIATIONAL = {name: cls for name, cls in GENERATORS.items() if issubclass(cls, VariationalGenerator)}
every = pytest.mark.parametrize("cls", VARIATIONAL.values(), ids=VARIATIONAL.keys())


def build(cls: type[VariationalGenerator]) -> VariationalGenerator:
    torch.manual_seed(0)
    size = {"size": 32} if "size" in inspect.signature(cls).parameters else {}
    return cls(3, 3, width=8, latent=6, **size)


def images() -> Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


@every
def test_translates_with_the_mean_also_while_training(cls: type[VariationalGenerator]) -> None:
    net, x = build(cls), images()
    assert torch.equal(net(x), net(x))
    mean, logvar = net.encode(x)
    assert mean.shape == logvar.shape
    assert mean.shape[:2] == (2, 6)
    torch.testing.assert_close(net(x), net.decode(mean))


@every
def test_samples_differ_repeat_with_their_generator_and_carry_gradients(cls: type[VariationalGenerator]) -> None:
    net = build(cls)
    mean, logvar = net.encode(images())
    a, b, c = (net.sample(mean, logvar, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    net.decode(a).sum().backward()
    for part in (net.mean, net.logvar, net.encoder):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())


def test_samples_follow_the_distribution() -> None:
    net = ResNetVAE(3, 3, width=2, blocks=0)
    shape = (1, 1, 200, 200)
    z = net.sample(torch.full(shape, 3.0), torch.full(shape, 0.25).log(), torch.Generator().manual_seed(0))
    assert z.mean().item() == pytest.approx(3, abs=0.02)
    assert z.std().item() == pytest.approx(0.5, abs=0.02)


@every
@pytest.mark.parametrize(("value", "clamped"), [(-1e4, -30.0), (1e4, 20.0)])
def test_logvar_is_clamped(cls: type[VariationalGenerator], value: float, clamped: float) -> None:
    net = build(cls)
    for layer in net.logvar.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert layer.bias is not None
            nn.init.constant_(layer.bias, value)
    assert torch.all(net.encode(images())[1] == clamped)


@pytest.mark.parametrize("cls", [VAE1, VAEGAN])
def test_tied_to_one_image_size(cls: type[VariationalGenerator]) -> None:
    net, x = build(cls), torch.zeros(1, 3, 32, 64)
    assert net.size == net.multiple == 32
    calls = (lambda: net(x), lambda: net.encode(x), lambda: net.features(x, ["down1"]))
    for call in calls:
        with pytest.raises(ValueError, match="tied to 32x32 px and was given 64x32"):
            call()


@pytest.mark.parametrize("cls", [ResNetVAE, ResVAE])
def test_takes_any_multiple(cls: type[VariationalGenerator]) -> None:
    net = build(cls)
    assert net.size is None
    size = (1, 3, 2 * net.multiple, 3 * net.multiple)
    assert net(torch.zeros(size)).shape == size
