from __future__ import annotations

from typing import Any

import pytest
import torch

from viceversa import methods
from viceversa.config import ConfigError, load_config
from viceversa.methods import METHODS
from viceversa.methods.base import Batch, Method, Update

SMALL = ["generator.width=4", "discriminator.width=4", "discriminator.layers=2", "data.load=32", "data.crop=32"]
SIZES = {
    "resnet": ["generator.blocks=1"],
    "unet": ["generator.depth=5"],
    "resnet_vae": ["generator.blocks=2", "generator.latent=4"],
    "cut": ["method.layers=[input,down1,block1]"],
}


def build(name: str, *overrides: str) -> Method:
    sizes = [*SIZES[load_config(name).generator["name"]], *SIZES.get(name, [])]
    return methods.build(methods.resolve(load_config(name, [*SMALL, *sizes, *overrides])))


def updates(method: Method, batch: Batch) -> dict[str, Update]:
    return {update.group: update for update in method.step(batch)}


@pytest.fixture
def batch() -> Batch:
    torch.manual_seed(0)
    return {"A": torch.rand(1, 3, 32, 32) * 2 - 1, "B": torch.rand(1, 3, 32, 32) * 2 - 1}


@pytest.mark.parametrize("name", METHODS)
def test_every_loss_reaches_its_group(name: str, batch: Batch) -> None:
    method = build(name)
    groups = method.groups()
    seen = updates(method, batch)
    assert seen.keys() == groups.keys()
    for group, update in seen.items():
        parameters = [p for net in groups[group] for p in net.parameters()]
        for loss, value in update.losses.items():
            gradients = torch.autograd.grad(value, parameters, allow_unused=True, retain_graph=True)
            assert any(g is not None and g.abs().sum() > 0 for g in gradients), loss


@pytest.mark.parametrize("name", METHODS)
def test_every_translator_is_trained(name: str) -> None:
    method = build(name)
    trained = {id(net) for nets in method.groups().values() for net in nets}
    assert method.translators()
    assert all(id(net) in trained for net in method.translators().values())


def test_cyclegan_updates_generators_first_and_pix2pix_the_discriminator(batch: Batch) -> None:
    assert [u.group for u in build("cyclegan").step(batch)] == ["G", "D"]
    assert [u.group for u in build("pix2pix").step(batch)] == ["D", "G"]


def test_cyclegan_weighs_each_cycle_and_its_identity(batch: Batch) -> None:
    def losses(*overrides: str) -> Any:
        torch.manual_seed(0)
        return updates(build("cyclegan", *overrides), batch)["G"].losses

    one, other = losses(), losses("method.cycle_x=1", "method.cycle_y=20", "method.identity=0.25")
    assert other["cycle_X"].item() == pytest.approx(one["cycle_X"].item() / 10)
    assert other["cycle_Y"].item() == pytest.approx(one["cycle_Y"].item() * 2)
    assert other["identity_G"].item() == pytest.approx(one["identity_G"].item())
    assert other["identity_F"].item() == pytest.approx(one["identity_F"].item() / 20)
    assert "identity_G" not in losses("method.identity=0")


def test_cyclegan_compares_a_translation_with_its_input_when_asked(batch: Batch) -> None:
    def content(*overrides: str) -> tuple[Any, ...]:
        torch.manual_seed(0)
        method = build("cyclegan", *overrides)
        losses = updates(method, batch)["G"].losses
        fakes = (
            (method.translators()["AtoB"](batch["A"]), batch["A"]),
            (method.translators()["BtoA"](batch["B"]), batch["B"]),
        )
        return losses, *fakes

    losses, (fake_y, x), (fake_x, y) = content("method.content=5")
    assert losses["content_G"].item() == pytest.approx(5 * (fake_y - x).abs().mean().item())
    assert losses["content_F"].item() == pytest.approx(5 * (fake_x - y).abs().mean().item())
    plain = losses["content_G"].item()
    blurred = content("method.content=5", "method.content_blur=true")[0]["content_G"].item()
    pooled = content("method.content=5", "method.content_pool=4")[0]["content_G"].item()
    both = content("method.content=5", "method.content_blur=true", "method.content_pool=4")[0]["content_G"].item()
    assert plain > pooled > both
    assert plain > blurred > both
    assert "content_G" not in content()[0]
    with pytest.raises(ConfigError, match=r"method\.content"):
        build("cyclegan", "data.channels_b=1", "method.identity=0", "method.content=1")


def test_cyclegan_content_trains_the_generators_only_through_their_translations(batch: Batch) -> None:
    method = build("cyclegan", "method.content=1")
    loss = updates(method, batch)["G"].losses["content_G"]
    both = [list(net.parameters()) for net in (method.translators()["AtoB"], method.translators()["BtoA"])]
    mine, other = (torch.autograd.grad(loss, p, allow_unused=True, retain_graph=True) for p in both)
    assert any(g is not None and g.abs().sum() > 0 for g in mine)
    assert all(g is None for g in other)


def test_cyclegan_pools_feed_the_discriminators(batch: Batch) -> None:
    method = build("cyclegan", "method.pool=1")
    torch.manual_seed(0)
    scores = set()
    for _ in range(8):  # the pool hands out one of two images at random
        scores.add(round(updates(method, batch)["D"].losses["gan_D_Y"].item(), 9))
        batch = {world: images.flip(-1) for world, images in batch.items()}
    assert len(scores) > 2


def test_pix2pix_translates_in_its_direction_and_d_sees_both_images(batch: Batch) -> None:
    method = build("pix2pix", "method.direction=BtoA", "data.channels_b=1", "data.channels_a=3")
    (net,) = method.translators().values()
    assert list(method.translators()) == ["BtoA"]
    assert net(torch.zeros(1, 1, 32, 32)).shape == (1, 3, 32, 32)
    assert next(method.D.parameters()).shape[1] == 4  # type: ignore[operator, union-attr]


def test_worlds_may_differ_in_channels_unless_identity_compares_them() -> None:
    with pytest.raises(ConfigError, match=r"method\.identity"):
        build("cyclegan", "data.channels_b=1")
    method = build("cyclegan", "data.channels_b=1", "method.identity=0")
    list(method.step({"A": torch.zeros(1, 3, 32, 32), "B": torch.zeros(1, 1, 32, 32)}))


def test_wgan_gp_refuses_batch_norm_in_its_discriminator() -> None:
    with pytest.raises(ConfigError, match=r"objective=wgan-gp.*discriminator\.norm=instance"):
        build("pix2pix", "objective=wgan-gp")
    build("pix2pix", "objective=wgan-gp", "discriminator.norm=instance")


def test_pix2pix_tells_its_discriminator_what_belongs_to_which_image() -> None:
    method = build("pix2pix", "data.channels_b=1", "discriminator.augment=[color]")
    assert method.D.augment.channels == [3, 1]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("words", "warns"),
    [
        (["generator.norm=batch"], True),
        (["generator.norm=batch", "inference=image"], False),
        (["generator.norm=batch", "train.batch=2"], False),
        (["discriminator.norm=batch"], False),
    ],
)
def test_batch_norm_of_single_images_warns(words: list[str], warns: bool, caplog: pytest.LogCaptureFixture) -> None:
    methods.warn_of_batch_norm(methods.resolve(load_config("cyclegan", [*SMALL, "generator.blocks=1", *words])))
    assert ("inference=image" in caplog.text) == warns
