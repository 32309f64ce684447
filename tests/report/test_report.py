"""A run as one page: what it says, what it carries, and that nothing in a run's folder breaks it."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from runs import lines, make_run, words, write_samples

from viceversa import report
from viceversa.engine.run_dir import read_run
from viceversa.report import samples


def text(run: Path) -> str:
    return report.write(run).read_text("utf-8")


def said(run: Path) -> str:
    return words(report.write(run))


def charts(run: Path) -> dict[str, Any]:
    found = re.search(r'id="charts">(.*?)</script>', text(run), re.S)
    assert found
    return {chart["title"]: chart for chart in json.loads(found[1])}


def metric(step: int, value: float | None, direction: str = "AtoB", name: str = "psnr", **more: Any) -> dict[str, Any]:
    line = {"step": step, "direction": direction, "weights": "ema", "metric": name, "value": value}
    return {**line, "spread": None, "baseline": {"input": 18.0}, "protocol": {"split": "test"}, **more}


def finding(name: str, severity: str, **more: Any) -> dict[str, Any]:
    return {"step": 300, "since": 100, "finding": name, "severity": severity, "message": name, "remedy": "", **more}


def test_a_page_tells_what_was_trained_how_well_and_what_next_and_needs_nothing_else(run: Path) -> None:
    page = said(run)
    for fact in (
        "A CycleGAN model",
        "domain A into domain B, and back",
        "unpaired",
        "400 of 400 steps",
        "abacus",
        "40 A, 50 B",
    ):
        assert fact in page
    assert re.search(r"A → B : translations are closer to the ground truth than the untranslated inputs \(\d", page)
    assert f"viceversa translate {run} PICTURES OUT" in page
    html = text(run)
    assert not re.findall(r'(?:src|href)="(?!data:|#|https://github.com/leeoniya/uPlot")[^"]*"', html)
    images = re.findall(r"<img [^>]*>", html)
    assert len(images) > 60
    assert all(re.search(r'alt="[^"]+"', image) and 'src="data:image/webp;base64,' in image for image in images)


def test_what_differs_from_the_preset_is_shown_with_its_meaning(tmp_path: Path) -> None:
    page = said(make_run(tmp_path, "train.batch=4", "generator.width=24"))
    rows = page[page.index("nearest preset is water2wine-small") : page.index("All of config.yaml")]
    assert "generator.width 24 16" in rows
    assert re.search(r"train\.batch 4 2 \w+ of each", rows)
    assert "train.ema" not in rows


@pytest.mark.parametrize("missing", ["log.jsonl", "events.jsonl", "samples", "samples/inputs", "all"])
def test_everything_but_the_configuration_is_optional(run: Path, missing: str) -> None:
    for path in [run / missing] if missing != "all" else [p for p in run.iterdir() if p.name != "config.yaml"]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert "All of config.yaml" in said(run)
    (run / "config.yaml").unlink()
    with pytest.raises(FileNotFoundError, match=r"config\.yaml"):
        report.write(run)


def test_a_run_may_have_any_name_and_is_text_not_markup(tmp_path: Path) -> None:
    odd = os.fsdecode(b"d\xe9 \\ta\n'q\xff<script>alert(1)<")
    (tmp_path / odd).mkdir()
    run = make_run(tmp_path / odd, f"data.root={odd}")
    with (run / "log.jsonl").open("a") as log:
        log.write(json.dumps({"event": "skipped", "step": 3, "pictures": {"A": [odd]}}))
    lines(run / "doctor.jsonl", [finding(odd, "error", remedy=odd)])
    lines(run / "metrics.jsonl", [metric(step, 1.0, name=f"</script>{odd}") for step in (100, 200)])
    html = text(run)
    assert "<script>alert(1)" not in html
    assert "d\ufffd \\ta\n&#39;q\ufffd&lt;script&gt;alert(1)&lt;/water-to-wine" in html


def test_findings_stand_there_with_remedy_and_image_the_worst_first(run: Path) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(run / "inverted.png")
    (run / "damaged.png").write_bytes(b"\x89PNG\r\n")
    error = finding("light is dark", "error", remedy="raise method.identity", picture="inverted.png")
    others = [finding(name, "note", picture=f"{name}.png") for name in ("../../secret", "damaged")]
    lines(run / "doctor.jsonl", [*others, {**error, "message": "old"}, error])
    page = said(run)
    assert page.index("light is dark") < page.index("damaged")
    assert "raise method.identity" in page
    assert text(run).count("what was found") == 1


def test_scores_show_their_baselines_and_the_best_one(run: Path) -> None:
    values = [metric(step, value) for step, value in ((100, 15.0), (200, 27.0), (300, 26.0), (400, 17.0))]
    kid = {"direction": "BtoA", "name": "kid[tiny]", "spread": 0.002, "baseline": {"input": 0.3, "mean": 0.5}}
    more = [metric(400, v, name=n, baseline={"input": 0.5}) for n, v in (("l1", 0.9), ("ssim", 0.1))]
    raw = metric(400, 99.0, weights="raw")
    lines(run / "metrics.jsonl", [*values, *(metric(s, 0.1 / s, **kid) for s in (100, 400)), *more, raw])
    page = said(run)
    assert page.count("not closer to the ground truth than") == 1, "three metrics, one sentence"
    assert "(17 dB against 18 dB)" in page
    for fact in ("27 dB at step 200", "closer to the target domain", "± 0.002", "mean 0.5"):
        assert fact in page
    chart, of_samples = (chart for title, chart in charts(run).items() if title.startswith("PSNR"))
    assert [(series["label"], series["dashed"]) for series in chart["series"]] == [
        ("AtoB", False),
        ("AtoB, input", True),
    ]
    assert of_samples["steps"] == [0, 100, 200, 300, 400]


def test_a_page_says_what_its_scores_rest_on(run: Path) -> None:
    for fact in ("not been evaluated", "only 3 images"):
        assert fact in said(run)
    failed = metric(100, None, name="kid[tiny]", protocol={"images": "few"})
    lines(run / "metrics.jsonl", [failed, metric(100, 20.0, protocol={"images": 1})])
    for fact in ("once, at step 100 of 400", "a single image", "kid[tiny]"):
        assert fact in said(run)
    shutil.rmtree(run / "samples")
    (run / "metrics.jsonl").unlink()
    assert "There are no scores" in said(run)


def test_a_running_training_says_so_and_how_long_it_takes(tmp_path: Path) -> None:
    run = make_run(tmp_path, steps=(0, 100, 200), finished=False)
    assert "data-live" in text(run)
    assert "200 of 400 steps, 20 s so far, about 20 s left" in said(run)
    assert f"viceversa train {run}" in said(run)
    assert charts(run)["Speed"]["times"] == ["5 s", "10 s", "15 s", "20 s"]
    assert "data-live" not in text(make_run(tmp_path / "other")).split("<script")[0]


def test_charts_hold_the_logged_values_grouped_and_thinned(run: Path) -> None:
    chart = charts(run)["Adversarial losses"]
    assert chart["steps"] == list(range(50, 401, 50))
    assert [s["label"] for s in chart["series"]] == ["gan_G", "gan_F", "gan_D_Y"]
    with (run / "log.jsonl").open("a", encoding="utf-8") as file:  # another kind of line, and one being written
        file.write('[1, 2]\n{"odd": 1}\n{"step": 450, "los')
    assert charts(run)["Adversarial losses"] == chart
    many = [{"step": s, "epoch": 0, "lr": 1.0, "losses": {"gan_G": float(s % 2)}} for s in range(1, 3001)]
    lines(run / "log.jsonl", many)
    chart = charts(run)["Adversarial losses"]
    assert (len(chart["steps"]), chart["steps"][-1]) == (600, 3000)
    assert chart["series"][0]["values"][0] == pytest.approx(0.6)  # the mean of 1 0 1 0 1


def test_a_film_has_the_first_and_the_last_step(run: Path) -> None:
    for step in range(400, 12001, 400):
        write_samples(run, step, 0.5)
    assert re.search(r'data-steps="0 [\d ]+ 12000"', text(run))
    assert len(samples.read_frames(read_run(run))) == 24
    write_samples(run, 12400, 0.5, rows=20)
    (frame,) = samples.read_frames(read_run(run))
    assert {key.row for key in frame.images} == {0, 3, 5, 8, 11, 14, 16, 19}


def test_samples_are_shrunk_and_those_written_again_are_read_again(run: Path) -> None:
    before = samples.read_frames(read_run(run))
    assert samples.read_frames(read_run(run)) == before
    write_samples(run, 400, 0.1)
    after = samples.read_frames(read_run(run))
    assert after[:-1] == before[:-1]
    assert after[-1] != before[-1]
    image = samples.embed(Image.new("RGB", (1024, 512)))
    assert (image.width, image.height) == (256, 128)
