"""The hostile folder, all the way: training stops in one line, or goes on without it; translating does what it can."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import hostile
import numpy as np
import pytest
import torch

from support import TINY, noise, save
from viceversa.config import Config, DataConfig, load_config
from viceversa.data import ImageError
from viceversa.data.check import check
from viceversa.data.image_data import with_channels
from viceversa.data.image_io import read_image
from viceversa.engine import train
from viceversa.nets import GENERATORS
from viceversa.nets.weights import Card, save_generator
from viceversa.registry import create
from viceversa.translate import translate_images


@pytest.fixture
def wild() -> Iterator[tuple[Path, list[hostile.Hostile]]]:
    """The hostile folder as domain A, sound images as B, open to a user who is not root."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        files = hostile.make(root / "A")
        for i in range(4):
            save(root / "B" / f"{i}.png", noise(40, 40, 3, seed=i))
        yield root, files


def config_of(root: Path, steps: int) -> Config:
    words = ["data.load=36", "data.test_fraction=0", f"data.root={root}", f"run={root / 'run'}"]
    return load_config("cyclegan", [*TINY, *words, f"train.length={steps} steps"])


def test_check_names_each_problem(wild: tuple[Path, list[hostile.Hostile]]) -> None:
    root, files = wild
    with hostile.ordinary_user():
        found = check(DataConfig(root=str(root), load=36, crop=32, test_fraction=0)).findings
    assert len(files) >= 40
    copies = {"copies", "copies-near"}  # those that are sound show the same image
    files = [file for file in files if file.kind != hostile.NO_FILE]
    named = {file: {f.kind for f in found if str(root / "A" / file.name) in f.files} - copies for file in files}
    expected = {file: {file.kind} - {None} for file in files}
    assert named == expected | {file: {"tiny", "flat"} for file in files if file.name == "one.png"}


def test_right_images_come_out_the_right_way_up(wild: tuple[Path, list[hostile.Hostile]]) -> None:
    root, files = wild
    for file in files:
        if file.sound:
            pixels = with_channels(read_image(root / "A" / file.name), 3)
            pixels = pixels if pixels.dtype == np.uint8 else (pixels * 255).astype(np.uint8)
            assert pixels.shape == (48, 64, 3), file.name
            assert hostile.upright(pixels, file.gray), file.name


def test_training_stops_in_one_line_that_names_files(wild: tuple[Path, list[hostile.Hostile]]) -> None:
    root, _ = wild
    with pytest.raises(ImageError, match=r"pictures cannot be read: .*; remove or repair them") as raised:
        train(config_of(root, 40))
    assert "\n" not in str(raised.value).replace("new\nline", "")


def test_training_survives_what_is_left_when_errors_are_removed(wild: tuple[Path, list[hostile.Hostile]]) -> None:
    root, _ = wild
    config = config_of(root, 2)
    for finding in check(config.data).findings:
        for file in finding.files if finding.severity == "error" else ():
            Path(file).unlink()
    assert check(config.data).errors == 0
    assert (train(config) / "weights" / "AtoB.safetensors").is_file()


def test_translating_does_what_can_be_done_and_names_the_rest(
    wild: tuple[Path, list[hostile.Hostile]], tmp_path: Path
) -> None:
    root, files = wild
    torch.manual_seed(0)
    network = {"name": "resnet", "width": 2, "blocks": 1}
    save_generator(
        tmp_path / "G.safetensors",
        create(GENERATORS, "generator", network, 3, 3, size=32),
        Card(network, 3, 3, 32, "AtoB", "running", {}),
    )
    outcome = translate_images(tmp_path / "G.safetensors", [str(root / "A")], tmp_path / "out")
    failed = {Path(file).name for file in outcome.failed}
    listed = {file.name for file in files if file.kind != hostile.NO_FILE}
    unreadable = {"pages.tiff", *(file.name for file in files if file.kind == "broken")}  # of pages, one would be left
    assert unreadable - failed <= {"forbidden.png"}  # root may read it
    assert failed <= unreadable
    assert len(outcome.written) == len(listed - failed)
    for orientation in range(1, 9):
        assert read_image(tmp_path / "out" / f"exif_{orientation}.jpg").pixels.shape == (48, 64, 3)
