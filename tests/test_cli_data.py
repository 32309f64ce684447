"""`viceversa data`: what it says, and its exit status."""

import json
from pathlib import Path

import pytest

from support import Command, noise, save


def test_making_and_checking_in_words(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = command("data", "make", "water2wine", "glasses", "--size", 16, "--count", 4, "--test", 2)
    assert made.stdout.startswith("glasses: water2wine, 4 + 4 to train, 2 + 2 to test")
    said = command("data", "check", "glasses", "data.load=18", "data.crop=16")
    assert (made.returncode, said.returncode, made.stderr, said.stderr) == (0, 0, "", "")
    lines = said.stdout.splitlines()
    assert lines[:2] == ["unpaired: 4 A, 4 B; test split: 2 A, 2 B", "A: 6 of 16x16; 6 of RGB"]
    assert [line for line in lines if line.startswith("warning: few training images: 4 A, 4 B")]
    Path("glasses", "trainA", "new\nline.png").touch()
    told, shown = command("data", "check", "style", "data.root=glasses", "--json"), command("data", "check", "glasses")
    assert told.returncode == shown.returncode == 1
    broken = json.loads(told.stdout)["findings"][0]
    assert (broken["kind"], broken["files"]) == ("broken", ["glasses/trainA/new\nline.png"])
    assert "  'trainA/new\\nline.png'\n" in shown.stdout


def test_any_file_name_works_everywhere(tmp_path: Path, viceversa: Command) -> None:
    for number in range(24):
        save(tmp_path / "d\udce9" / "AB"[number % 2] / f"{number // 2}\udce9.png", noise(20, 20, 3, seed=number))
    small = ("data.load=18", "data.crop=16")
    for words in (("check", "d\udce9", *small), ("cache", "d\udce9", "out", *small), ("check", "out", *small)):
        done = viceversa("data", *words, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), words
    assert len((tmp_path / "out" / "manifest.csv").read_bytes().splitlines()) == 25
