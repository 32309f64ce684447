"""Every option of CUT does what it says."""

from __future__ import annotations

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


def build(*overrides: str, layers: Sequence[str] = LAYERS) -> CUT:
    torch.manual_seed(0)
    config = load_config("cut", [*SMALL, f"method.layers=[{','.join(layers)}]", *overrides])
    method = methods.build(methods.resolve(config))
    assert isinstance(method, CUT)
    return method


def images(size: int = 1, side: int = 32) -> Batch:
    noise = torch.Generator().manual_seed(0)
    return {world: torch.rand(size, 3, side, side, generator=noise) * 2 - 1 for world in "AB"}


def losses(method: CUT, batch: Batch | None = None, seed: int = 0) -> dict[str, Tensor]:
    seed_everything(seed, rank=0, step=0)
    return {k: v for update in method.step(batch or images()) for k, v in update.losses.items()}


def keys(method: CUT, source: Tensor) -> list[Tensor]:
    return method.G.features(source, method.layers)


def test_updates_the_discriminator_first() -> None:
    assert [update.group for update in build().step(images())] == ["D", "G"]


@pytest.mark.parametrize(
    "option", ["patches=7", "temperature=0.5", "contrast=ence", "negatives=batch", "query=attention", "layers=[down1]"]
)
def test_the_contrast_is_another_with_another_option(option: str) -> None:
    base, other = build(), build(f"method.{option}")
    other.G.load_state_dict(base.G.state_dict())
    if "layers" not in option:
        other.H.load_state_dict(base.H.state_dict())
    one, two = losses(base, images(2)), losses(other, images(2))
    assert one["gan_G"].item() == pytest.approx(two["gan_G"].item())
    assert one["nce_X"].item() != pytest.approx(two["nce_X"].item(), rel=1e-6)


def test_more_negatives_make_it_harder() -> None:
    one, two = losses(build(), images(2)), losses(build("method.negatives=batch"), images(2))
    assert two["nce_X"] > one["nce_X"]


def test_only_residual_blocks_attend() -> None:
    """With all other maps given whole, chance is in those of the blocks alone, and attention leaves none."""
    attending, random = (build(f"method.query={query}", layers=["block1"]) for query in ("attention", "random"))
    for method in (attending, random):
        method.patches = 9
    assert losses(attending, seed=1)["nce_X"].item() == losses(attending, seed=2)["nce_X"].item()
    assert losses(random, seed=1)["nce_X"].item() != losses(random, seed=2)["nce_X"].item()
    mixed = build("method.query=attention", "method.patches=9", layers=["down1", "block1"])
    assert losses(mixed, seed=1)["nce_X"].item() != losses(mixed, seed=2)["nce_X"].item()
    with pytest.raises(ConfigError, match=r"method\.query=attention"):
        build("method.query=attention", layers=["input", "down1"])


@pytest.mark.parametrize("detach", [True, False])
def test_gradient_reaches_the_key_unless_it_is_detached(detach: bool) -> None:
    method = build(f"method.detach={str(detach).lower()}")
    source = images()["A"].requires_grad_()
    method.patch_nce(keys(method, source), images()["B"], mirror=False).backward()
    assert (source.grad is None) == detach
    if source.grad is not None:
        assert source.grad.abs().sum() > 0


def test_the_translation_is_always_trained() -> None:
    method = build()
    translation = images()["B"].requires_grad_()
    method.patch_nce(keys(method, images()["A"]), translation, mirror=False).backward()
    assert translation.grad is not None
    assert translation.grad.abs().sum() > 0


def test_the_pool_feeds_the_discriminator() -> None:
    def scores(pool: int) -> int:
        method, batch, found = build(f"method.pool={pool}"), images(), set()
        for _ in range(8):
            found.add(round(next(method.step(batch)).losses["gan_D"].item(), 9))
            batch = {world: picture.flip(-1) for world, picture in batch.items()}
        return len(found)

    assert scores(0) == 2
    assert scores(1) > 2


def test_each_layer_has_its_head() -> None:
    assert len(next(build(layers=["down1"]).H.children())) == 1  # type: ignore[arg-type]
    assert len(next(build().H.children())) == 3  # type: ignore[arg-type]


def test_an_unknown_layer_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(
        ConfigError, match=r"method\.layers: feature 'block5' does not exist .* known: input, down1, down2, block1"
    ):
        build(layers=["input", "block5"])


def test_identity_contrast_is_averaged_with_the_other() -> None:
    both, one = losses(build()), losses(build("method.nce_identity=false"))
    assert both["nce_X"].item() == pytest.approx(one["nce_X"].item() / 2)
    assert both["nce_Y"].item() > 0
    assert "nce_Y" not in one
    heavy = losses(build("method.nce=10"))
    assert heavy["nce_X"].item() == pytest.approx(10 * both["nce_X"].item())
    assert heavy["nce_Y"].item() == pytest.approx(10 * both["nce_Y"].item())
    with pytest.raises(ConfigError, match=r"method\.name"):
        build("data.channels_b=1")


def test_the_contrast_is_the_mean_over_layers() -> None:
    method = build("method.patches=2000")  # all positions, so that no chance is left
    batch = images()
    fake = method.G(batch["A"])
    whole = method.patch_nce(keys(method, batch["A"]), fake, mirror=False)
    heads = next(method.H.children())
    parts = []
    for i, name in enumerate(LAYERS):
        method.layers = (name,)
        method.H = Only(heads, i)  # type: ignore[assignment]
        parts.append(method.patch_nce(keys(method, batch["A"]), fake, mirror=False))
    assert whole.item() == pytest.approx(torch.stack(parts).mean().item(), rel=1e-5)


class Only(nn.Module):
    """One of several projection heads."""

    def __init__(self, heads: Any, index: int) -> None:
        super().__init__()
        self.head = heads[index]

    def forward(self, patches: list[Tensor]) -> list[Tensor]:
        return [nn.functional.normalize(self.head(patches[0]), dim=-1)]


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


def flips(method: CUT, draws: int) -> tuple[list[bool], list[float]]:
    """In which draws the mirrored picture was translated, and the contrast of each."""
    found, values, batch = [], [], images(side=16)
    for seed in range(draws):
        values.append(losses(method, batch, seed)["nce_X"].item())
        found.append(torch.equal(method.G.seen[-2], batch["A"].flip(-1)))  # type: ignore[index, union-attr, arg-type]
        assert torch.equal(method.G.seen[-1], batch["B"].flip(-1)) == found[-1]  # type: ignore[index, union-attr, arg-type]
    return found, values


def equivariant(*overrides: str) -> CUT:
    method = build("method.patches=256", *overrides)
    method.G, method.layers = Pointwise(), ("input", "deep")
    method.H = Projector([3, 3], width=8)
    return method


def test_half_of_the_pictures_are_mirrored_and_an_equivariant_generator_does_not_care() -> None:
    mirrored, contrast = flips(equivariant("method.flip_equivariance=true"), 60)
    assert 18 < sum(mirrored) < 42
    assert contrast == pytest.approx([contrast[0]] * 60, rel=1e-5)


def test_a_generator_that_cannot_mirror_pays_for_it() -> None:
    method = build("method.patches=2000", "method.flip_equivariance=true", "method.nce_identity=false")
    values = {round(losses(method, seed=seed)["nce_X"].item(), 4) for seed in range(8)}
    assert len(values) == 2


def test_nothing_is_mirrored_unless_asked() -> None:
    assert not any(flips(equivariant(), 8)[0])


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_translates_in_its_direction(direction: str) -> None:
    method, batch = build(f"method.direction={direction}", "method.patches=2000"), images()
    assert list(method.translators()) == [direction]
    x, y = (batch["A"], batch["B"]) if direction == "AtoB" else (batch["B"], batch["A"])
    fake = method.G(x)
    found = losses(method, batch)
    assert found["gan_G"].item() == pytest.approx((method.D(fake) - 1).square().mean().item(), rel=1e-5)
    assert found["gan_D"].item() == pytest.approx(
        0.5 * (method.D(fake).square().mean() + (method.D(y) - 1).square().mean()).item()
    )
    assert found["nce_X"].item() == pytest.approx(
        0.5 * method.patch_nce(keys(method, x), fake, mirror=False).item(), rel=1e-4
    )
    assert found["nce_Y"].item() == pytest.approx(
        0.5 * method.patch_nce(keys(method, y), method.G(y), mirror=False).item(), rel=1e-4
    )


def test_translations_and_keys_are_the_networks_own() -> None:
    method, images_ = build(), list(images().values())
    for mirror in (False, True):  # the keys are those of the image, not of its mirror image
        for image, (fake, found) in zip(images_, method.translate(images_, mirror), strict=True):
            assert torch.allclose(fake, method.G(image.flip(-1) if mirror else image), atol=1e-5)
            for one, other in zip(found, keys(method, image), strict=True):
                assert torch.allclose(one, other, atol=1e-5)
