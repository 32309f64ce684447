"""Networks of others, ready to use: load_network and the import of generators."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import viceversa
from viceversa.interop import import_generator
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


def test_what_is_not_a_network_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.pth").write_bytes(b"not weights")
    torch.save({"model.1.weight": torch.zeros(4, 3, 7, 7), "strange": torch.zeros(3)}, tmp_path / "strange.pth")
    for name in ("broken.pth", "strange.pth"):
        with pytest.raises(ValueError, match=name):
            viceversa.load_network(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        viceversa.load_network(tmp_path / "none.pth")
