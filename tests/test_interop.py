"""Networks of others, ready to use: load_network and the import of generators."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import viceversa
from viceversa import methods
from viceversa.config import Config, ConfigError, load_config
from viceversa.engine.learner import Learner
from viceversa.interop import convert_original, import_generator
from viceversa.nets import ResNetGenerator
from viceversa.nets.base import Discriminator, Generator
from viceversa.nets.weights import Card, load_generator, save_generator

GOLDEN = Path(__file__).parent / "golden"
GENERATOR = "generator_resnet_9blocks_instance_ngf8"


def golden(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    arrays = np.load(GOLDEN / f"{name}.npz")
    return torch.from_numpy(arrays["input"]), torch.from_numpy(arrays["output_eval"])


@pytest.mark.parametrize(
    "name", [GENERATOR, "generator_unet_128_batch_dropout_ngf4", "discriminator_basic_instance_ndf8"]
)
def test_load_network_reads_the_originals_files(name: str) -> None:
    net = viceversa.load_network(GOLDEN / f"{name}.pth")
    x, wanted = golden(name)
    assert isinstance(net, Discriminator if name.startswith("d") else Generator)
    assert not net.training
    assert (net(x) - wanted).abs().max() <= 1e-5 * wanted.abs().max()


def test_an_imported_generator_translates_like_the_original(tmp_path: Path) -> None:
    target = tmp_path / "G.safetensors"
    import_generator(GOLDEN / f"{GENERATOR}.pth", target, "BtoA", "running")
    x, wanted = golden(GENERATOR)
    net, card = load_generator(target)
    assert card.direction == "BtoA"
    assert card.generator["blocks"] == 9
    assert (net(x) - wanted).abs().max() <= 1e-5 * wanted.abs().max()
    assert torch.equal(viceversa.load_network(target)(x), net(x))


def test_an_import_touches_nothing_it_should_not(tmp_path: Path) -> None:
    source, target = GOLDEN / f"{GENERATOR}.pth", tmp_path / "G.safetensors"
    target.write_text("mine")
    with pytest.raises(ValueError, match=r"G\.safetensors: exists already; --overwrite replaces it"):
        import_generator(source, target)
    assert target.read_text() == "mine"
    import_generator(source, target, overwrite=True)
    assert load_generator(target)[1].generator["blocks"] == 9
    before = target.read_bytes()
    with pytest.raises(ValueError, match="is a discriminator"):
        import_generator(GOLDEN / "discriminator_basic_instance_ndf8.pth", target, overwrite=True)
    assert target.read_bytes() == before
    with pytest.raises(ValueError, match=r"G\.pth: weights files end in \.safetensors"):
        import_generator(source, tmp_path / "G.pth")
    assert list(tmp_path.iterdir()) == [target]


def test_a_discriminator_cannot_be_imported_to_translate(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is a discriminator"):
        import_generator(
            GOLDEN / "discriminator_basic_instance_ndf8.pth", tmp_path / "D.safetensors", "AtoB", "running"
        )
    assert not list(tmp_path.iterdir())


def test_load_network_reads_a_run(tmp_path: Path) -> None:
    net = ResNetGenerator(3, 3, width=4, blocks=1)
    card = Card({"name": "resnet", "width": 4, "blocks": 1}, 3, 3, 32, "AtoB", "running", {})
    save_generator(tmp_path / "weights" / "AtoB.safetensors", net, card)
    x = torch.rand(1, 3, 32, 32)
    assert torch.equal(viceversa.load_network(tmp_path)(x), net.eval()(x))


GARBAGE = {
    "empty": b"",
    "text": b"<html>404</html>",
    "zip": b"PK\x03\x04" + bytes(200),
    "pickle": b"\x80\x02" + bytes(range(200)),
    "stack": bytes.fromhex("8004856e94"),
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.pth: not a file of weights alone: damaged, or with more than") as error:
        viceversa.load_network(tmp_path / "x.pth")
    assert "\n" not in str(error.value)
    assert "\x1b" not in str(error.value)


def test_what_cannot_be_read_is_the_systems_word(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        import_generator(tmp_path, tmp_path / "G.safetensors")


def test_a_single_number_is_no_layer() -> None:
    state: dict[str, Tensor] = torch.load(GOLDEN / f"{GENERATOR}.pth", weights_only=True)
    with pytest.raises(ValueError, match=r"model\.1\.weight: a single number, which no known layout has"):
        convert_original({**state, "model.1.weight": torch.zeros(())})


def test_what_is_not_a_network_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.pth").write_bytes(b"not weights")
    torch.save({"model.1.weight": torch.zeros(4, 3, 7, 7), "strange": torch.zeros(3)}, tmp_path / "strange.pth")
    for name in ("broken.pth", "strange.pth"):
        with pytest.raises(ValueError, match=name):
            viceversa.load_network(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        viceversa.load_network(tmp_path / "none.pth")


# --- fine-tuning


def tiny(*words: str) -> Config:
    small = ["generator.width=8", "discriminator.width=4", "data.load=32", "data.crop=32", "train.device=cpu"]
    return methods.resolve(load_config("cyclegan", [*small, *words]))


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("imported") / "weights" / "AtoB.safetensors"
    import_generator(GOLDEN / f"{GENERATOR}.pth", target)
    return target


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_training_starts_from_imported_weights(direction: str, imported: Path) -> None:
    weights = load_generator(imported)[0].state_dict()
    learner = Learner(tiny(f"init.{direction}={imported}", "generator.dropout=0.5"), 4)
    learner.start()
    for translators in (learner.method.translators(), learner.ema.translators()):
        assert {way for way, net in translators.items() if equal(net.state_dict(), weights)} == {direction}
    x, wanted = golden(GENERATOR)
    first_sample = learner.ema.translators()[direction](x)  # type: ignore[index]
    assert (first_sample - wanted).abs().max() <= 1e-5 * wanted.abs().max()


def test_training_starts_from_a_run(imported: Path) -> None:
    method = methods.build(tiny())
    methods.start_from(method, tiny(f"init.AtoB={imported.parents[1]}"))
    assert equal(method.translators()["AtoB"].state_dict(), load_generator(imported)[0].state_dict())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("generator.blocks=3 generator.width=4", "set generator.width=8 generator.blocks=9$"),
        ("generator.padding=zeros", "set generator.padding=reflect$"),
        ("generator=unet generator.depth=5", "set generator=resnet "),
        ("data.channels_a=1 data.channels_b=1", r"is of another generator \(3 to 3 channels"),
    ],
)
def test_another_generator_is_refused_with_its_options(words: str, message: str, imported: Path) -> None:
    config = tiny(*words.split(), f"init.AtoB={imported}")
    with pytest.raises(ConfigError, match=message):
        methods.start_from(methods.build(config), config)


def test_weights_that_would_not_be_used_are_refused(imported: Path) -> None:
    config = tiny("method=cut", "method.layers=[input, down1]", f"init.BtoA={imported}")
    with pytest.raises(ConfigError, match=r"^init\.BtoA=.*: this method only translates AtoB; leave it away"):
        methods.start_from(methods.build(config), config)
