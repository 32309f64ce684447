"""`viceversa data` through real processes: what it says, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support import Command


@pytest.fixture(scope="module")
def glasses(tmp_path_factory: pytest.TempPathFactory, viceversa: Command) -> Path:
    lab = tmp_path_factory.mktemp("lab")
    made = viceversa("data", "make", "water2wine", "glasses", "--size", 16, "--count", 4, "--test", 2, cwd=lab)
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.startswith("glasses: water2wine, 4 + 4 to train, 2 + 2 to test")
    return lab


def test_a_sound_folder_in_words(glasses: Path, viceversa: Command) -> None:
    said = viceversa("data", "check", "glasses", "data.load=18", "data.crop=16", cwd=glasses)
    assert (said.returncode, said.stderr) == (0, "")
    lines = said.stdout.splitlines()
    assert lines[0] == "unpaired: 4 A, 4 B; test split: 2 A, 2 B"
    assert lines[1] == "A: 6 of 16x16; 6 of RGB"
    assert [line for line in lines if line.startswith("warning: few training images: 4 A, 4 B")]


def test_errors_have_status_1_and_no_images_are_one_line(glasses: Path, viceversa: Command) -> None:
    odd = glasses / "glasses" / "trainA" / "new\nline.png"
    odd.touch()
    told = viceversa("data", "check", "water2wine-small", "data.root=glasses", "--json", cwd=glasses)
    shown = viceversa("data", "check", "glasses", cwd=glasses)
    odd.unlink()
    assert told.returncode == shown.returncode == 1
    broken = json.loads(told.stdout)["findings"][0]
    assert (broken["kind"], broken["files"]) == ("broken", ["glasses/trainA/new\nline.png"])
    assert "  'trainA/new\\nline.png'\n" in shown.stdout
    for place, status in (("nowhere", 2), ("data.root=nowhere", 1)):
        missing = viceversa("data", "check", place, cwd=glasses)
        assert (missing.returncode, missing.stdout, missing.stderr.count("\n")) == (status, "", 1)


def test_any_file_name_works_everywhere(tmp_path: Path, viceversa: Command) -> None:
    for number in range(24):
        path = tmp_path / "d\udce9" / "AB"[number % 2] / f"{number // 2}\udce9.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (20, 20, 3), np.uint8)).save(path)
    small = ("data.load=18", "data.crop=16")
    for words in (("check", "d\udce9", *small), ("cache", "d\udce9", "out", *small), ("check", "out", *small)):
        done = viceversa("data", *words, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), words
    assert len((tmp_path / "out" / "manifest.csv").read_bytes().splitlines()) == 25
