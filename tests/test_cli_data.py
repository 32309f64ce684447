"""`viceversa data` through real processes: what it says, and its exit status."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from support import Command


@pytest.mark.parametrize("command", ["convert", "pair", "split", "cache"])
def test_help_fits_a_terminal(command: str, viceversa: Command) -> None:
    helped = viceversa("data", command, "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert not [line for line in helped.stdout.splitlines() if len(line) > 80]


def test_pair_convert_and_split(tmp_path: Path, viceversa: Command) -> None:
    for world, count, width in (("labels", 13, 4), ("photos", 14, 4)):
        (tmp_path / world).mkdir()
        for number in range(count):
            Image.new("RGB", (width, 4), (number, 10, 10)).save(tmp_path / world / f"{number}.png")
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

    again = viceversa("data", "convert", "joined", "photos", "--to", "paired", cwd=tmp_path)
    assert again.returncode == 1
    assert again.stderr == "viceversa: photos: not empty; choose another folder, or --overwrite it\n"

    split = viceversa("data", "split", "joined", "--out", "divided", "--test", 0.2, cwd=tmp_path)
    assert (split.returncode, split.stderr) == (0, "")
    tests = len(os.listdir(tmp_path / "divided" / "test"))
    assert split.stdout == f"divided: train {11 - tests} pairs; test {tests} pairs\n"
