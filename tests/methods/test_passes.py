"""Passes that share a network are one where that is exact, and none the less what they were."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from viceversa import methods
from viceversa.config import load_config
from viceversa.engine.learner import Learner
from viceversa.methods import passes
from viceversa.methods.passes import Passes
from viceversa.nets import ResNetGenerator, UNetGenerator

SMALL = ["data.load=32", "data.crop=32", "generator.width=4", "discriminator.width=4", "train.device=cpu"]
CASES = {
    "cyclegan": ["generator.blocks=1"],
    "cut": ["generator.blocks=5", "method.patches=16"],
    "fastcut": ["generator.blocks=5", "method.patches=16", "method.nce_identity=true"],
}


def counted(net: ResNetGenerator) -> list[int]:
    """Note how many pictures each pass through the network's entrance has."""
    sizes: list[int] = []
    net.stem.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    return sizes


def pictures(*sizes: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(1, 3, size, size, generator=generator, dtype=torch.float64) for size in sizes]


def test_what_is_announced_is_computed_in_the_same_pass() -> None:
    net = ResNetGenerator(3, 3, width=4, blocks=1).double()
    sizes, (x, y) = counted(net), pictures(16, 16)
    passes = Passes(net)
    first, second, third = passes(x, later=y), passes(y), passes(x)
    assert sizes == [2, 1]
    for found, picture in ((first, x), (second, y), (third, x)):
        torch.testing.assert_close(found, net(picture), rtol=0, atol=1e-12)


def test_several_results_are_taken_apart() -> None:
    net = ResNetGenerator(3, 3, width=4, blocks=1).double()
    sizes, (x, y) = counted(net), pictures(16, 16)
    passes = Passes(net, lambda picture: net.translate_with_features(picture, ("down1", "block1")))
    for (translation, features), picture in ((passes(x, later=y), x), (passes(y), y)):
        torch.testing.assert_close(translation, net(picture), rtol=0, atol=1e-12)
        torch.testing.assert_close(list(features), net.features(picture, ("down1", "block1")), rtol=0, atol=1e-12)
    assert sizes[0] == 2


def test_pictures_of_other_sizes_have_passes_of_their_own() -> None:
    net = ResNetGenerator(3, 3, width=4, blocks=1).double()
    sizes, (x, y) = counted(net), pictures(16, 24)
    passes = Passes(net)
    passes(x, later=y)
    assert sizes == [1]
    assert passes(y).shape == y.shape


def test_large_pictures_have_passes_of_their_own_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    net = ResNetGenerator(3, 3, width=4, blocks=1).double()
    sizes, (x, y) = counted(net), pictures(16, 16)
    monkeypatch.setattr(passes, "PIXELS", 2 * 16 * 16 - 1)
    Passes(net)(x, later=y)
    assert sizes == [1]


@pytest.mark.parametrize(
    ("options", "alone"),
    [({}, True), ({"norm": "instance_affine"}, True), ({"norm": "batch"}, False), ({"dropout": 0.5}, False)],
)
def test_networks_that_mix_pictures_or_draw_say_so(options: dict[str, object], alone: bool) -> None:
    net = ResNetGenerator(3, 3, width=4, blocks=1, **options).double()
    assert net.each_alone is alone
    x, y = pictures(16, 16)
    if "dropout" not in options:
        assert torch.allclose(net(torch.cat([x, y])), torch.cat([net(x), net(y)]), rtol=0, atol=1e-12) is alone
    order: list[str] = []
    passes = Passes(net, lambda picture: order.append("x" if picture is x else "y" if picture is y else "both"))
    if not alone:  # nothing changes, not even the order
        passes(x, later=y)
        assert order == ["x"]
        passes(y)
        assert order == ["x", "y"]


def test_a_u_net_draws_and_mixes_unless_told_otherwise() -> None:
    assert not UNetGenerator(3, 3, depth=3, width=2).each_alone
    assert UNetGenerator(3, 3, depth=3, width=2, norm="instance", dropout=0.0).each_alone


@pytest.mark.parametrize("preset", CASES)
def test_three_steps_are_those_of_separate_passes(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = ["train.precision=fp64", "train.optimizer=sgd"]
    config = methods.resolve(load_config(preset, [*SMALL, *CASES[preset], *exact]))
    found = []
    for alone in (True, False):
        learner = Learner(config, 10)
        for net in learner.method.translators().values():
            monkeypatch.setattr(net, "each_alone", alone)
        sizes = counted(next(iter(learner.method.translators().values())))
        batches = [dict(zip("AB", pictures(32, 32), strict=True)) for _ in range(3)]
        losses = [learner.train_step(batch) for batch in batches]
        assert (max(sizes) == 2) is alone
        found.append((losses, learner.method.state_dict()))
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-11)
