from pathlib import Path
from typing import Any

import pytest
import torch

from viceversa import methods
from viceversa.config import ConfigError, load_config
from viceversa.methods import METHODS
from viceversa.methods.base import Batch, ImagePool, Method, Update
from viceversa.nets.weights import Card, load_generator, save_generator

SMALL = ["generator.width=4", "discriminator.width=4", "discriminator.layers=2", "data.load=32", "data.crop=32"]
SIZES = {
    "cyclegan": ["generator.blocks=1"],
    "pix2pix": ["generator.depth=5"],
    "cyclegan-vae": ["generator.blocks=2", "generator.latent=4"],
    "onesided": ["generator.blocks=1", "discriminator.side=32", "method.direction=both", "init.gain=1"],
    "distillation": ["generator.blocks=1", "method.features=0.3"],
    "cut": ["generator.blocks=1", "init.gain=1", "method.layers=[input,down1,block1]"],
}


def build(name: str, *overrides: str) -> Any:
    torch.manual_seed(0)
    preset = {"onesided": "style"}.get(name, name)
    return methods.build(methods.resolve(load_config(preset, [*SMALL, *SIZES[name], *overrides])))


def updates(method: Method, batch: Batch) -> dict[str, Update]:
    return {update.group: update for update in method.step(batch)}


@pytest.fixture
def batch() -> Batch:
    torch.manual_seed(0)
    return {"A": torch.rand(1, 3, 32, 32) * 2 - 1, "B": torch.rand(1, 3, 32, 32) * 2 - 1}


FIRST = {"cyclegan": "G", "cyclegan-vae": "G", "pix2pix": "D", "cut": "D"}
"""What the originals update first."""


@pytest.mark.parametrize("name", METHODS)
def test_every_loss_reaches_its_group_and_every_translator_is_trained(name: str, batch: Batch) -> None:
    method = build(name)
    groups, seen = method.groups(), updates(method, batch)
    assert seen.keys() == groups.keys()
    assert next(iter(seen)) == FIRST.get(name, next(iter(seen)))
    for group, update in seen.items():
        parameters = [p for net in groups[group] for p in net.parameters()]
        for loss, value in update.losses.items():
            gradients = torch.autograd.grad(value, parameters, allow_unused=True, retain_graph=True)
            assert any(g is not None and g.abs().sum() > 0 for g in gradients), loss
    trained = {id(net) for nets in groups.values() for net in nets}
    assert method.translators()
    assert all(id(net) in trained for net in method.translators().values())


@pytest.mark.parametrize(("name", "loss"), [("cyclegan", "gan_D_Y"), ("cyclegan-vae", "gan_D_Y"), ("cut", "gan_D")])
@pytest.mark.parametrize("size", [0, 1])
def test_pools_feed_the_discriminators(name: str, loss: str, size: int, batch: Batch) -> None:
    """Two batches in turn have two scores; a pool of one hands out either image of the two, at random."""
    method, scores = build(name, f"method.pool={size}", *["method.sample=false"] * (name == "cyclegan-vae")), set()
    for _ in range(10):
        scores.add(round(updates(method, batch)["D"].losses[loss].item(), 9))
        batch = {domain: images.flip(-1) for domain, images in batch.items()}
    assert len(scores) > 2 if size else len(scores) == 2


def test_pix2pix_can_compare_frozen_features(batch: Batch) -> None:
    with pytest.raises(ConfigError, match="projected"):
        build("pix2pix", "method.feature=1")

    def losses(*overrides: str) -> Any:
        judged = ["discriminator={name: projected, side: 32}", "generator.norm=instance", "generator.dropout=0"]
        sizes = ["generator.width=4", "generator.depth=5", "data.load=32", "data.crop=32"]
        torch.manual_seed(0)
        config = load_config("pix2pix", [*sizes, *judged, *overrides])
        return updates(methods.build(methods.resolve(config)), batch)["G"].losses

    one, other = losses("method.feature=1"), losses("method.feature=5")
    assert one["feature"] > 0
    assert other["feature"].item() == pytest.approx(5 * one["feature"].item())
    assert "feature" not in losses()


def test_cyclegan_weighs_each_cycle_and_its_identity(batch: Batch) -> None:
    def losses(*overrides: str) -> Any:
        return updates(build("cyclegan", *overrides), batch)["G"].losses

    one, other = losses(), losses("method.cycle_x=1", "method.cycle_y=20", "method.identity=0.25")
    for name, factor in {"cycle_X": 0.1, "cycle_Y": 2, "identity_G": 1, "identity_F": 0.05}.items():
        assert other[name].item() == pytest.approx(factor * one[name].item())
    assert "identity_G" not in losses("method.identity=0")


def test_cyclegan_compares_a_translation_with_its_input_when_asked(batch: Batch) -> None:
    def content(*overrides: str) -> tuple[Method, Any]:
        method = build("cyclegan", *overrides)
        return method, updates(method, batch)["G"].losses

    method, losses = content("method.content=5")
    for name, net, x in (("content_G", method.G, batch["A"]), ("content_F", method.F, batch["B"])):
        assert losses[name].item() == pytest.approx(5 * (net(x) - x).abs().mean().item())
    mine, other = (
        torch.autograd.grad(losses["content_G"], list(net.parameters()), allow_unused=True, retain_graph=True)
        for net in (method.G, method.F)
    )
    assert any(g is not None and g.abs().sum() > 0 for g in mine)
    assert all(g is None for g in other), "only through its translation"
    blur, pool = "method.content_blur=true", "method.content_pool=4"
    plain, *less = (content("method.content=5", *words)[1]["content_G"] for words in ([], [blur], [pool], [blur, pool]))
    assert plain > less[0] > less[2]
    assert plain > less[1] > less[2]
    assert "content_G" not in content()[1]


def test_pix2pix_translates_in_its_direction_and_d_sees_both_images() -> None:
    method = build("pix2pix", "method.direction=BtoA", "data.channels_b=1", "discriminator.augment=[color]")
    (net,) = method.translators().values()
    assert list(method.translators()) == ["BtoA"]
    assert net(torch.zeros(1, 1, 32, 32)).shape == (1, 3, 32, 32)
    assert next(method.D.parameters()).shape[1] == 4
    assert method.D.augment.channels == [1, 3], "so that no colour of one image goes into the other"


@pytest.mark.parametrize(
    ("name", "option"),
    [
        *[("cyclegan", option) for option in ("identity", "content")],
        *[("cyclegan-vae", option) for option in ("identity", "reconstruction", "cross_reconstruction")],
        ("cut", "name"),
    ],
)
def test_domains_may_differ_in_channels_unless_they_are_compared(name: str, option: str) -> None:
    words = ["data.channels_b=1", "method.identity=0", *["method.reconstruction=0"] * (name == "cyclegan-vae")]
    if name != "cut":
        list(build(name, *words).step({"A": torch.zeros(1, 3, 32, 32), "B": torch.zeros(1, 1, 32, 32)}))
    with pytest.raises(ConfigError, match=rf"method\.{option}"):
        build(name, *(words[:1] if name == "cut" else [*words, f"method.{option}=1"]))


@pytest.mark.parametrize(
    ("words", "warns"),
    [
        (["generator.norm=batch"], True),
        (["generator.norm=batch", "inference=image"], False),
        (["generator.norm=batch", "train.batch=2"], False),
        (["discriminator.norm=batch"], False),
    ],
)
def test_batch_norm_of_single_images_warns(
    words: list[str], warns: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """When a training begins, and when what it wrote is used."""
    config = methods.resolve(load_config("cyclegan", [*SMALL, "generator.blocks=1", *words]))
    methods.check(config)
    assert ("inference=image" in caplog.text) == warns
    caplog.clear()
    trained = {"batch": config.train.batch}
    card = Card(config.generator, 3, 3, config.data.crop, "AtoB", config.inference, trained)
    save_generator(tmp_path / "AtoB.safetensors", methods.build(config).translators()["AtoB"], card)
    load_generator(tmp_path / "AtoB.safetensors")
    assert ("inference=image" in caplog.text) == warns


# --- the pool of earlier images


def numbered(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers).view(-1, 1, 1, 1).expand(-1, 3, 2, 2).clone()


def values(batch: torch.Tensor) -> list[float]:
    return batch[:, 0, 0, 0].tolist()


def test_passes_everything_through_while_it_fills_and_remembers_it_in_the_state_dict() -> None:
    pool, other = ImagePool(3), ImagePool(3)
    assert values(pool(numbered(1, 2))) == [1, 2]
    assert values(pool(numbered(3))) == [3]
    assert values(pool.images) == [1, 2, 3]
    other(numbered(9))
    other.load_state_dict(pool.state_dict())
    assert values(other.images) == [1, 2, 3]
    ImagePool(5).load_state_dict(ImagePool(5).state_dict())


def test_hands_out_old_images_half_of_the_time_and_keeps_the_new_ones() -> None:
    torch.manual_seed(0)
    pool, old = ImagePool(5), 0
    pool(numbered(*range(5)))
    for number in range(5, 2005):
        before = values(pool.images)
        (given,) = values(pool(numbered(number)))
        after = values(pool.images)
        if given == number:
            assert after == before
        else:
            old += 1
            assert given in before
            assert sorted(after) == sorted([*(n for n in before if n != given), number])
    assert 900 < old < 1100


def test_decides_for_each_image_of_a_batch_and_what_it_gave_stays_as_it_is() -> None:
    torch.manual_seed(0)
    pool = ImagePool(64)
    pool(numbered(*range(64)))
    given = pool(numbered(*range(100, 164)))
    kept = values(given)
    assert 16 < sum(value < 100 for value in kept) < 48
    pool(numbered(*range(200, 264)))
    assert values(given) == kept


def test_is_off_at_size_zero_and_carries_no_gradient() -> None:
    batch = numbered(1.0).requires_grad_()
    assert torch.equal(ImagePool(0)(batch), batch)
    assert not any(ImagePool(size)(batch).requires_grad for size in (0, 2))
