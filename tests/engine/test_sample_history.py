"""The samples of a run: kept as they are, few, and read again whatever became of the files."""

import logging
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support import noise
from viceversa import engine
from viceversa.engine import trainer
from viceversa.engine.sample_history import Key, read_samples, sample_steps, thin_out, write_samples


def images(seed: int = 0, channels: int = 3, size: tuple[int, int] = (7, 5)) -> dict[Key, np.ndarray]:
    found = {Key("AtoB", 0, kind): noise(*size, channels, seed=1) for kind in ("input", "truth", "back")}
    return {
        **found,
        Key("AtoB", 0, "translation"): noise(*size, channels, seed=seed),
        Key("BtoA", 3, "mask"): noise(9, 9, 1, seed=5),
    }


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_images_come_back_as_they_were(tmp_path: Path, channels: int) -> None:
    shown = images(channels=channels)
    write_samples(tmp_path / "samples", 5, shown)
    found = read_samples(tmp_path / "samples", 5)
    assert found.keys() == shown.keys()
    for key, pixels in shown.items():
        count = pixels.shape[2]
        expected = np.repeat(pixels[:, :, :1], 3, axis=2) if count < 3 else pixels[:, :, :3]
        if count != 4:
            assert np.array_equal(np.asarray(found[key]), expected)
    with Image.open(tmp_path / "samples" / "step-00000005" / "AtoB-0-translation.png") as image:
        assert image.mode == {1: "L", 2: "L", 3: "RGB", 4: "RGBA", 5: "RGB"}[channels]


def test_inputs_are_kept_once_and_set_aside_when_they_change(tmp_path: Path) -> None:
    folder = tmp_path / "samples"
    write_samples(folder, 0, images())
    written = (folder / "inputs").stat().st_ino
    write_samples(folder, 5, images(seed=1))
    assert (folder / "inputs").stat().st_ino == written
    assert sorted(os.listdir(folder)) == ["inputs", "latest.png", "step-00000000", "step-00000005"]
    write_samples(folder, 10, images(size=(4, 4)))
    assert sample_steps(folder) == [10]
    assert sample_steps(tmp_path / "samples-before-00000010") == [0, 5]


def test_what_is_damaged_or_strange_is_left_out_with_a_warning(tmp_path: Path, caplog: Any) -> None:
    write_samples(tmp_path, 5, images())
    step = tmp_path / "step-00000005"
    (step / "AtoB-0-back.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (step / "AtoB-0-translation.png").write_bytes((step / "AtoB-0-translation.png").read_bytes()[:-30])
    (step / "AtoB-00-evil.png").touch()
    for name in ("step-1", "step-00000006", "step-0x000005"):
        (tmp_path / name).touch()
    os.mkfifo(step / "BtoA-1-mask.png")
    with caplog.at_level(logging.WARNING):
        found = read_samples(tmp_path, 5)
    assert set(found) == set(images()) - {Key("AtoB", 0, "back"), Key("AtoB", 0, "translation")}
    assert len(caplog.records) == 2
    assert sample_steps(tmp_path) == [5]
    assert read_samples(tmp_path, 6) == {key: image for key, image in found.items() if key.kind in ("input", "truth")}


def test_samples_stay_few_and_evenly_spread(tmp_path: Path) -> None:
    for step in range(0, 1010, 10):
        (tmp_path / f"step-{step:08d}").mkdir()
        thin_out(tmp_path, every=10, keep=8)
    assert sample_steps(tmp_path) == [0, 160, 320, 480, 640, 800, 960, 1000]
    thin_out(tmp_path, every=7, keep=2)  # it was changed
    assert sample_steps(tmp_path) == [0, 1000]


def test_a_training_keeps_its_samples_and_writes_lost_ones_again_bit_for_bit(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "KEPT", 3)
    options = ["train.sample_every=1 step", "train.samples=2", "data.paired_test=true"]
    config = tiny("cyclegan", *options, "generator.mask=true")
    samples = engine.train(config) / "samples"
    assert sample_steps(samples) == [0, 4, 8]
    assert set(os.listdir(samples / "step-00000008")) == files("translation", "mask", "back")
    assert set(os.listdir(samples / "inputs")) == files("input", "truth")
    before = {path: path.read_bytes() for path in samples.rglob("*.png")}
    shutil.rmtree(samples)
    shutil.rmtree(samples.parent / "checkpoints")
    engine.train(config)
    assert {path: path.read_bytes() for path in samples.rglob("*.png")} == before


def files(*kinds: str) -> set[str]:
    return {f"{direction}-{row}-{kind}.png" for direction in ("AtoB", "BtoA") for row in (0, 1) for kind in kinds}
