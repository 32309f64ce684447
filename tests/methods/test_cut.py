"""Every option of CUT does what it says."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from viceversa import methods
from viceversa.config import ConfigError, load_config
from viceversa.methods.base import Batch
from viceversa.methods.cut import CUT
from viceversa.nets import Generator
from viceversa.nets.resnet import Projector
from viceversa.seeds import seed_everything

SMALL = ["generator.width=4", "generator.blocks=1", "discriminator.width=4", "discriminator.layers=2"]
SMALL += ["data.load=32", "data.crop=32", "method.head_width=8", "init.gain=1"]
LAYERS = ["input", "down1", "block1"]
WHOLE = "method.patches=2000"  # all positions, so that no chance is left


def build(*overrides: str, layers: Sequence[str] = LAYERS) -> Any:
    torch.manual_seed(0)
    config = load_config("cut", [*SMALL, f"method.layers=[{','.join(layers)}]", *overrides])
    return methods.build(methods.resolve(config))


def images(size: int = 1, side: int = 32) -> Batch:
    noise = torch.Generator().manual_seed(0)
    return {domain: torch.rand(size, 3, side, side, generator=noise) * 2 - 1 for domain in "AB"}


def losses(method: CUT, batch: Batch | None = None, seed: int = 0) -> dict[str, float]:
    seed_everything(seed, rank=0, step=0)
    return {k: v.item() for update in method.step(batch or images()) for k, v in update.losses.items()}


def keys(method: CUT, source: Tensor) -> list[Tensor]:
    return method.G.features(source, method.layers)


@pytest.mark.parametrize(
    "option", ["patches=7", "temperature=0.5", "contrast=ence", "negatives=batch", "query=attention", "layers=[down1]"]
)
def test_the_contrast_is_another_with_another_option(option: str) -> None:
    base, other = build(), build(f"method.{option}")
    other.G.load_state_dict(base.G.state_dict())
    if "layers" not in option:
        other.H.load_state_dict(base.H.state_dict())
    one, two = losses(base, images(2)), losses(other, images(2))
    assert one["gan_G"] == pytest.approx(two["gan_G"])
    assert one["nce_X"] != pytest.approx(two["nce_X"], rel=1e-6)
    if option == "negatives=batch":
        assert two["nce_X"] > one["nce_X"], "more negatives make it harder"


def test_only_residual_blocks_attend() -> None:
    """Attention leaves nothing to chance, random patches do."""

    def changes(*words: str, layers: list[str]) -> bool:
        method = build("method.patches=9", *words, layers=layers)
        return losses(method, seed=1)["nce_X"] != losses(method, seed=2)["nce_X"]

    assert changes(layers=["block1"])
    assert not changes("method.query=attention", layers=["block1"])
    assert changes("method.query=attention", layers=["down1", "block1"])
    with pytest.raises(ConfigError, match=r"method\.query=attention"):
        build("method.query=attention", layers=["input", "down1"])


@pytest.mark.parametrize("detach", [True, False])
def test_gradient_reaches_the_translation_and_the_key_unless_it_is_detached(detach: bool) -> None:
    method, (source, translation) = build(f"method.detach={str(detach).lower()}"), images().values()
    source.requires_grad_(), translation.requires_grad_()
    method.patch_nce(keys(method, source), translation, mirror=False).backward()
    assert translation.grad.abs().sum() > 0
    assert source.grad is None if detach else source.grad.abs().sum() > 0


def test_each_layer_has_its_head_and_an_unknown_one_is_refused() -> None:
    assert [len(next(build(layers=layers).H.children())) for layers in (["down1"], LAYERS)] == [1, 3]
    known = r"known: input, down1, down2, block1"
    with pytest.raises(ConfigError, match=rf"method\.layers: feature 'block5' does not exist .* {known}"):
        build(layers=["input", "block5"])


def test_identity_contrast_is_averaged_with_the_other() -> None:
    both, one, heavy = (losses(build(*words)) for words in ([], ["method.nce_identity=false"], ["method.nce=10"]))
    assert both["nce_X"] == pytest.approx(one["nce_X"] / 2)
    assert both["nce_Y"] > 0
    assert "nce_Y" not in one
    assert heavy["nce_X"] == pytest.approx(10 * both["nce_X"])
    assert heavy["nce_Y"] == pytest.approx(10 * both["nce_Y"])


class Pointwise(Generator):
    """Looks at each pixel alone, so it commutes with mirroring."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        return torch.tanh(self.conv(x))

    def taps(self, x: Tensor) -> Any:
        yield "input", x
        yield "deep", self.conv(x)

    def tap_channels(self) -> dict[str, int]:
        return {"input": 3, "deep": 3}


@pytest.mark.parametrize("asked", [True, False])
def test_half_of_the_images_are_mirrored_when_asked_and_an_equivariant_generator_does_not_care(asked: bool) -> None:
    method, batch = build(f"method.flip_equivariance={str(asked).lower()}"), images(side=16)
    method.G, method.layers, method.H = Pointwise(), ("input", "deep"), Projector([3, 3], width=8)
    mirrored, contrast = [], []
    for seed in range(60):
        contrast.append(losses(method, batch, seed)["nce_X"])
        mirrored.append(torch.equal(method.G.seen[-2], batch["A"].flip(-1)))
        assert torch.equal(method.G.seen[-1], batch["B"].flip(-1)) == mirrored[-1]
    assert 18 < sum(mirrored) < 42 if asked else not any(mirrored)
    assert contrast == pytest.approx([contrast[0]] * 60, rel=1e-5)


@pytest.mark.parametrize("contrast", ["true", "false"])
@pytest.mark.parametrize("mirror", ["true", "false"])
def test_identity_weighs_how_far_an_image_of_the_target_domain_is_changed(contrast: str, mirror: str) -> None:
    words = [f"method.nce_identity={contrast}", f"method.flip_equivariance={mirror}"]
    method, batch = build(*words, "method.identity=3"), images(side=16)
    method.G, method.layers, method.H = Pointwise(), ("input", "deep"), Projector([3, 3], width=8)
    expected = 3 * (method.G(batch["B"]) - batch["B"]).abs().mean().item()
    for seed in range(4):  # of which some are mirrored
        found = losses(method, batch, seed)
        assert found["identity"] == pytest.approx(expected)
        assert ("nce_Y" in found) == (contrast == "true")
    assert "identity" not in losses(build(*words))


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_translates_in_its_direction(direction: str) -> None:
    method, batch = build(f"method.direction={direction}", WHOLE), images()
    assert list(method.translators()) == [direction]
    x, y = (batch[domain] for domain in direction.split("to"))
    fake, found = method.G(x), losses(method, batch)
    assert found["gan_G"] == pytest.approx((method.D(fake) - 1).square().mean().item(), rel=1e-4)
    gan_D = 0.5 * (method.D(fake).square().mean() + (method.D(y) - 1).square().mean())
    assert found["gan_D"] == pytest.approx(gan_D.item(), rel=1e-4)
    for name, image in (("nce_X", x), ("nce_Y", y)):
        contrast = method.patch_nce(keys(method, image), method.G(image), mirror=False)
        assert found[name] == pytest.approx(0.5 * contrast.item(), rel=1e-4)
