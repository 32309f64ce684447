"""Networks of others, ready to use: load_network and the import of generators."""

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from test_originals import resnet
from torch import Tensor

import viceversa
from viceversa import methods
from viceversa.config import Config, ConfigError, load_config
from viceversa.config.schema import InitConfig
from viceversa.engine.learner import Learner
from viceversa.info import describe
from viceversa.interop import import_generator, read_original
from viceversa.nets import ResNetGenerator
from viceversa.nets.weights import Card, load_generator, save_generator

GOLDEN = Path(__file__).parents[1] / "golden"
GENERATOR = "generator_resnet_9blocks_instance_ngf8"


def golden(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    arrays = np.load(GOLDEN / f"{name}.npz")
    return torch.from_numpy(arrays["input"]), torch.from_numpy(arrays["output_eval"])


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


def test_load_network_reads_a_run_or_a_file(tmp_path: Path) -> None:
    net = ResNetGenerator(3, 3, width=4, blocks=1)
    card = Card({"name": "resnet", "width": 4, "blocks": 1}, 3, 3, 32, "AtoB", "running", {})
    save_generator(tmp_path / "weights" / "AtoB.safetensors", net, card)
    x = torch.rand(1, 3, 32, 32)
    for source in (tmp_path, tmp_path / "weights" / "AtoB.safetensors"):
        assert torch.equal(viceversa.load_network(source)(x), net.eval()(x))


PICKLES = (b"\x80\x02" + bytes(range(200)), bytes.fromhex("8004856e94"))


def test_what_is_not_a_network_is_refused_in_one_line(tmp_path: Path) -> None:
    for content in (b"", b"<html>404</html>", b"PK\x03\x04" + bytes(200), *PICKLES):
        (tmp_path / "x.pth").write_bytes(content)
        with pytest.raises(ValueError, match=r"x\.pth: not a ") as error:
            viceversa.load_network(tmp_path / "x.pth")
        assert str(error.value).isprintable()
    strange = {**state_of(), "model.1.weight": torch.zeros(())}
    torch.save(strange, tmp_path / "strange.pth")
    with pytest.raises(ValueError, match=r"strange\.pth: model\.1\.weight: a single number, which no known layout has"):
        viceversa.load_network(tmp_path / "strange.pth")
    torch.save(resnet("instance", 0), tmp_path / "pickled.pth")  # the module instead of its weights
    with pytest.raises(ValueError, match=r"pickled\.pth: not a file of weights alone"):
        viceversa.load_network(tmp_path / "pickled.pth")
    itself: dict[str, object] = {}
    itself["model"] = itself
    for content in (itself, {"a" + ".a" * 2000: torch.zeros(1)}, {"fc1.weight": torch.zeros(0, 0)}):
        torch.save(content, tmp_path / "hostile.pth")
        with pytest.raises(ValueError, match=r"hostile\.pth: "):
            viceversa.load_network(tmp_path / "hostile.pth")
    with pytest.raises(FileNotFoundError):
        viceversa.load_network(tmp_path / "none.pth")
    with pytest.raises(IsADirectoryError):
        import_generator(tmp_path, tmp_path / "G.safetensors")


# --- files of several networks, wrapped or with normalised weights


def state_of(name: str = GENERATOR) -> dict[str, Tensor]:
    return torch.load(GOLDEN / f"{name}.pth", weights_only=True)


def other() -> dict[str, Tensor]:
    return {key: 2 * tensor for key, tensor in state_of().items()}


def prefixed(**states: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{name}.{key}": tensor for name, state in states.items() for key, tensor in state.items()}


JUDGE = "discriminator_basic_instance_ndf8"
WRAPPED: dict[str, tuple[Callable[[], object], str | None]] = {
    "alone": (state_of, None),
    "in a checkpoint": (lambda: {"epoch": 3, "loss": torch.tensor(1.0), "state_dict": state_of()}, None),
    "with its options": (lambda: {"opt": argparse.Namespace(lr=1), "best": np.float64(3), "netG": state_of()}, None),
    "beside a discriminator": (lambda: {"G": state_of(), "D": state_of(JUDGE)}, None),
    "one of two": (lambda: {"G_A": state_of(), "G_B": other()}, "G_A"),
    "lightning's": (
        lambda: {"state_dict": prefixed(netG_B2A=other(), netG_A2B=state_of(), netD=state_of(JUDGE))},
        "netG_A2B",
    ),
    "by its whole name": (lambda: {"ema": {"G": other()}, "raw": {"G": state_of()}}, "raw.G"),
    "below a model": (lambda: {"model": prefixed(gen=prefixed(module=state_of()))}, None),
    "beside an optimiser": (
        lambda: {"G": state_of(), "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{}]}},
        None,
    ),
}


@pytest.mark.parametrize(("make", "key"), WRAPPED.values(), ids=WRAPPED)
def test_generators_are_found_in_checkpoints(make: Callable[[], object], key: str | None, tmp_path: Path) -> None:
    torch.save(make(), tmp_path / "all.ckpt")
    import_generator(tmp_path / "all.ckpt", tmp_path / "G.safetensors", "BtoA", "running", key=key)
    x, wanted = golden(GENERATOR)
    net, card = load_generator(tmp_path / "G.safetensors")
    assert (card.direction, card.generator["blocks"]) == ("BtoA", 9)
    assert (net(x) - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (None, r"holds several networks: G_A \(resnet\), G_B \(resnet\); choose one with --key NAME"),
        ("G_C", r"no network is called 'G_C'; it holds G_A \(resnet\), G_B \(resnet\), D \(patchgan\)"),
        ("D", "is a discriminator"),
    ],
)
def test_of_several_networks_one_must_be_named(key: str | None, message: str, tmp_path: Path) -> None:
    torch.save({"G_A": state_of(), "G_B": other(), "D": state_of(JUDGE)}, tmp_path / "all.pth")
    with pytest.raises(ValueError, match=message):
        import_generator(tmp_path / "all.pth", tmp_path / "G.safetensors", key=key)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_where_they_are_read(value: float, tmp_path: Path) -> None:
    state = state_of()
    state["model.4.weight"][0, 0, 0, 0] = value
    torch.save(state, tmp_path / "G.pth")
    with pytest.raises(ValueError, match=r"G\.pth: downs\.0\.conv\.weight is not finite"):
        import_generator(tmp_path / "G.pth", tmp_path / "G.safetensors")
    original, weights = read_original(GOLDEN / f"{GENERATOR}.pth")
    weights["head.bias"][0] = value
    net = original.build()
    net.load_state_dict(weights)
    save_generator(tmp_path / "G.safetensors", net, Card(original.network, 3, 3, 32, "AtoB", "running", {}))
    config = tiny("generator.blocks=9", f"init.AtoB={tmp_path / 'G.safetensors'}")
    reads: list[Callable[[], object]] = [
        lambda: viceversa.Translator.load(tmp_path / "G.safetensors"),
        lambda: describe(tmp_path / "G.safetensors"),
        lambda: methods.start_from(methods.build(config), config),
    ]
    for read in reads:
        with pytest.raises(ValueError, match=r"G\.safetensors: head\.bias is not finite"):
            read()


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
    first_sample = learner.ema.translators()[direction](x)
    assert (first_sample - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("generator.blocks=3 generator.width=4", "set generator.width=8 generator.blocks=9$"),
        ("generator.padding=zeros", "set generator.padding=reflect$"),
        ("generator=unet generator.depth=5", "set generator=resnet "),
        ("data.channels_a=1 method.identity=0", "set data.channels_a=3$"),
        ("data.channels_a=1 data.channels_b=1", "set data.channels_a=3 data.channels_b=3$"),
    ],
)
def test_another_generator_is_refused_with_its_options(words: str, message: str, imported: Path) -> None:
    config = tiny(*words.split(), f"init.AtoB={imported}")
    with pytest.raises(ConfigError, match=message):
        methods.start_from(methods.build(config), config)


def test_a_generator_of_another_size_is_refused_with_its_size(tmp_path: Path) -> None:
    small, large = (
        methods.resolve(load_config("cyclegan-vae", ["generator=vae1", "generator.width=2", *size]))
        for size in (["data.crop=32", "data.load=32"], ["data.crop=64", "data.load=64"])
    )
    net = methods.build(large).translators()["BtoA"]
    save_generator(tmp_path / "G.safetensors", net, Card(large.generator, 3, 3, 64, "BtoA", "running", {}))
    config = dataclasses.replace(small, init=InitConfig(BtoA=str(tmp_path / "G.safetensors")))
    with pytest.raises(ConfigError, match=r"set data\.crop=64 data\.load=64$"):
        methods.start_from(methods.build(config), config)
