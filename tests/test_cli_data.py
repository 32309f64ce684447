"""`viceversa data` through real processes: what it says, and its exit status."""

from __future__ import annotations

import json
import os
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
    for words in (
        ("check", "d\udce9"),
        ("split", "d\udce9"),
        ("convert", "d\udce9", "out", "--to", "csv"),
        ("pair", "d\udce9/A", "d\udce9/B", "pairs"),
        ("check", "out"),
    ):
        done = viceversa("data", *words, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), words
    assert len((tmp_path / "d\udce9" / "manifest.csv").read_bytes().splitlines()) == 25


def test_pair_convert_and_split(tmp_path: Path, viceversa: Command) -> None:
    for domain, count, width in (("labels", 13, 4), ("photos", 14, 4)):
        (tmp_path / domain).mkdir()
        for number in range(count):
            Image.new("RGB", (width, 4), (number, 10, 10)).save(tmp_path / domain / f"{number}.png")
    Image.new("RGB", (5, 4)).save(tmp_path / "photos" / "3.png")
    (tmp_path / "labels" / "0.png").rename(tmp_path / "labels" / "zero.png")

    paired = viceversa("data", "pair", "labels", "photos", "joined", cwd=tmp_path)
    assert paired.returncode == 1
    assert paired.stdout.splitlines() == [
        "joined: aligned: train 11 pairs",
        "without a partner: labels/zero.png, photos/0.png, photos/13.png",
    ]
    assert paired.stderr.startswith("viceversa: left out: labels/3.png and photos/3.png: differ in size (4 x 4, 5 x 4)")
    assert len(os.listdir(tmp_path / "joined" / "train")) == 11

    again = viceversa("data", "convert", "joined", "photos", "--to", "trainA", cwd=tmp_path)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)

    folders = viceversa("data", "convert", "joined", "divided", "--to", "csv", cwd=tmp_path)
    assert (folders.returncode, folders.stderr) == (0, "")
    split = viceversa("data", "split", "divided", "--test", 0.2, "--overwrite", cwd=tmp_path)
    assert (split.returncode, split.stderr) == (0, "")
    tests = (tmp_path / "divided" / "manifest.csv").read_text().count(",test\n")
    assert split.stdout == f"divided/manifest.csv: train {11 - tests} pairs; test {tests} pairs\n"
