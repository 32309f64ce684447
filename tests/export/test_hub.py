"""Runs go to a stand-in of the hub and come back; what cannot be is one line."""

import re
from pathlib import Path

import numpy as np
import pytest
from hub_server import hub
from PIL import Image

from support import Command
from viceversa.config import load_config
from viceversa.export.push import model_card
from viceversa.paths import local_copy
from viceversa.translator import Translator


def test_other_paths_are_left_alone(tmp_path: Path) -> None:
    for path in (tmp_path, Path("runs/h2z"), Path("hf"), Path("hf:/one")):
        assert local_copy(path) == path


def test_a_card_says_what_the_run_tells(run: Path) -> None:
    text = model_card(run, "me/glasses", "cc-by-4.0")
    header = text.split("---\n")[1]
    assert 'license: "cc-by-4.0"' in header.splitlines()
    assert "pipeline_tag: image-to-image" in header.splitlines()
    rows = dict(re.findall(r"^\| ([\w ]+) \| (.*) \|$", text, re.M))
    assert rows["method"] == "cyclegan"
    assert rows["crops"] == "32 x 32 pixels"
    assert rows["steps"].startswith("1,")
    assert 'Translator.load("hf://me/glasses")' in text
    assert str(run.parent) not in text
    assert "\n\n\n" not in text
    assert not re.search(r"^license", model_card(run, "me/glasses", None), re.M)


@pytest.mark.slow
def test_a_run_goes_to_the_hub_and_comes_back(viceversa: Command, run: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)).save(photo)
    with hub() as (address, repositories, made):
        settings = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_TELEMETRY": "1"}
        refused = viceversa("push", run, "me/glasses", **settings)
        assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1), refused.stderr
        assert repositories == {}

        pushed = viceversa("push", run, "me/glasses", "--private", HF_TOKEN="hf_test", **settings)
        assert pushed.returncode == 0, pushed.stderr
        assert pushed.stdout == f"{address}/me/glasses: published\n"
        assert made[0].get("private") or made[0].get("visibility") == "private"  # as it was, and is, called
        files = repositories["me/glasses"]
        weights = [f"weights/{way}.safetensors" for way in ("AtoB", "BtoA")]
        assert set(files) >= {"README.md", "config.yaml", "samples.png", "onnx/AtoB.onnx", "onnx/BtoA.onnx", *weights}
        assert str(run.parent).encode() not in b"".join(files.values()), "where the data lies is nobody's business"
        (tmp_path / "config.yaml").write_bytes(files["config.yaml"])
        assert load_config(tmp_path / "config.yaml").generator["width"] == 4

        for model in ("hf://me/glasses", "hf://me/glasses/weights/BtoA.safetensors", "hf://me/glasses/onnx/BtoA.onnx"):
            direction = [] if "BtoA" in model else ["--direction", "BtoA"]
            out = tmp_path / f"{len(model)}.png"
            done = viceversa("translate", model, photo, out, *direction, **settings)
            assert done.returncode == 0, done.stderr
            expected = np.asarray(Translator.load(run, "BtoA")(Image.open(photo)), int)
            assert abs(np.asarray(Image.open(out), int) - expected).max() <= 1
        for model in ("hf://me/nothing", "hf://me/glasses/weights/nothing.safetensors"):
            missing = viceversa("translate", model, photo, tmp_path / "out", **settings)
            assert (missing.returncode, len(missing.stderr.splitlines())) == (1, 1), missing.stderr
    away = viceversa("translate", "hf://me/glasses", photo, tmp_path / "away.png", **settings)
    assert away.returncode == 0, "the copy from before will do: " + away.stderr
