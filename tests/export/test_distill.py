"""A student is an ordinary run, smaller than its teacher, and comes closer to it the longer it learns."""

from pathlib import Path

import pytest

from viceversa.config import load_config
from viceversa.export.distill import DistillOptions, distill
from viceversa.nets.weights import read_card
from viceversa.paths import list_images


@pytest.mark.slow
def test_a_student_learns_its_teachers_answers(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "student"
    length = ["train.decay=0 steps", "train.lr=0.003", "train.ema=0", "train.report=false"]
    options = [
        DistillOptions(width=2, direction="BtoA", overrides=[f"train.length={steps} steps", *length])
        for steps in (1, 120)
    ]
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    first = distill(run, out, options[0])
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert [len(list_images(out / "teacher" / name)) for name in ("trainA", "trainB", "testA", "testB")] == [8, 8, 4, 4]
    answers = {path: path.stat().st_mtime_ns for path in list_images(out / "teacher")}
    later = distill(run, out, options[1])
    assert {path: path.stat().st_mtime_ns for path in list_images(out / "teacher")} == answers
    assert later.psnr > first.psnr + 3
    assert later.size < (run / "weights" / "BtoA.safetensors").stat().st_size
    card, config = read_card(out / "weights" / "BtoA.safetensors"), load_config(out)
    assert (card.generator["width"], card.generator["blocks"], card.trained["step"]) == (2, 1, 120)
    assert config.method == {"name": "distillation", "direction": "BtoA", "l1": 10.0, "features": 0.0}
