"""Code from outside runs when its user names it; a file that names it starts nothing."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from support import TINY, Command
from viceversa import engine, methods
from viceversa.config import COMPONENTS, ConfigError, load_config
from viceversa.nets.weights import Card, load_generator, save_generator
from viceversa.translator import Translator

LAB = """
import os
from viceversa.nets.base import Generator
from torch import nn
with open(os.environ["LAB_DIARY"], "a") as diary:
    diary.write("imported\\n")

class Mirror(Generator):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.net = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x):
        return self.net(x).tanh()
"""
NAME = "secret_lab:Mirror"


@pytest.fixture
def diary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the module `secret_lab`, which can be imported from `tmp_path`, writes that it was."""
    (tmp_path / "secret_lab.py").write_text(LAB)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("LAB_DIARY", str(tmp_path / "diary"))
    yield tmp_path / "diary"
    sys.modules.pop("secret_lab", None)


@pytest.fixture
def weights(diary: Path, tmp_path: Path) -> Path:
    """A stranger's file: only its card says what it is."""
    path = tmp_path / "G.safetensors"
    net = torch.nn.ModuleDict({"net": torch.nn.Conv2d(3, 3, 1)})
    save_generator(path, net, Card({"name": NAME}, 3, 3, 32, "AtoB", "running", {}))
    return path


def test_a_weights_file_imports_nothing(weights: Path, diary: Path) -> None:
    with pytest.raises(ConfigError, match=r"G\.safetensors: .*secret_lab:Mirror: .*viceversa --import secret_lab"):
        load_generator(weights)
    assert not diary.exists()


@pytest.mark.parametrize("section", COMPONENTS)
def test_a_configuration_imports_nothing(section: str, diary: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs.yaml").write_text(f"{section}: {NAME}\n")
    with pytest.raises(ConfigError, match=rf"{section}\.name={NAME}: .*viceversa --import secret_lab"):
        methods.resolve(load_config(tmp_path / "theirs.yaml", ["generator.width=3", "data.crop=32"]))
    assert not diary.exists()


def test_what_was_typed_is_imported_and_only_then(diary: Path, worlds: Path, tmp_path: Path) -> None:
    words = [f"data.root={worlds}", f"run={tmp_path / 'run'}", "train.length=1 step", "train.report=false"]
    run = engine.train(load_config("cyclegan", [*TINY[2:], *words, f"generator={NAME}"]))
    Translator.load(run)
    assert diary.read_text() == "imported\n"
    sys.modules.pop("secret_lab")  # as in the next process
    for load in (Translator.load, lambda run: methods.resolve(load_config(run))):
        with pytest.raises(ConfigError, match="viceversa --import secret_lab"):
            load(run)
    assert diary.read_text() == "imported\n"


def test_the_command_line_imports_what_it_is_told_to(
    weights: Path, diary: Path, tmp_path: Path, command: Command
) -> None:
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    words = ("translate", weights, tmp_path / "a.png", tmp_path / "out")
    missing = command("--import", "no_such_lab", *words)
    for refused in (command(*words), missing):
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert not diary.exists()
    assert command("--import", "secret_lab", *words).returncode == 0
    assert (tmp_path / "out").exists()
