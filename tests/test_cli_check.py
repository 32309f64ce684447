"""`viceversa data check` and `data make` as commands."""

from __future__ import annotations

import json
from pathlib import Path

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


def test_a_sound_folder_in_words_with_a_sheet(glasses: Path, viceversa: Command) -> None:
    said = viceversa("data", "check", "glasses", "data.load=18", "data.crop=16", "--sheet", "sheet.png", cwd=glasses)
    assert (said.returncode, said.stderr) == (0, "")
    lines = said.stdout.splitlines()
    assert lines[0] == "unpaired: 4 A, 4 B; test split: 2 A, 2 B"
    assert lines[2].split()[:5] == ["A", "4", "2", "16x16", "6"]
    assert [line for line in lines if line.startswith("warning: few training images: 4 A, 4 B")]
    with Image.open(glasses / "sheet.png") as sheet:
        assert sheet.width > 1000


def test_errors_in_json_with_status_1_and_names_as_they_are(glasses: Path, viceversa: Command) -> None:
    (glasses / "glasses" / "trainA" / "new\nline.png").touch()
    try:
        words = ("data", "check", "water2wine-small", "data.root=glasses")
        told = viceversa(*words, "--json", cwd=glasses)
        assert told.returncode == 1, told.stderr
        findings = json.loads(told.stdout)["findings"]
        assert findings[0]["kind"] == "broken"
        assert findings[0]["files"] == ["glasses/trainA/new\nline.png"]
        shown = viceversa(*words, "--quick", cwd=glasses)
        assert shown.returncode == 1
        assert "error: 1 image cannot be read: the file is empty\n  'trainA/new\\nline.png'\n" in shown.stdout
    finally:
        (glasses / "glasses" / "trainA" / "new\nline.png").unlink()


def test_no_pictures_are_one_line(glasses: Path, viceversa: Command) -> None:
    told = viceversa("data", "check", "nowhere", cwd=glasses)
    assert (told.returncode, told.stdout, told.stderr.count("\n")) == (2, "", 1)
    told = viceversa("data", "check", "data.root=nowhere", cwd=glasses)
    assert (told.returncode, told.stderr) == (1, "viceversa: nowhere: no such folder\n")
