"""A run as one page: what it says, what it carries, and that nothing in a run's folder breaks it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from runs import lines, make_run, write_samples

from viceversa import methods, report
from viceversa.config import load_config, load_words, presets
from viceversa.report import films
from viceversa.report.settings import command, nearest_preset


def text(run: Path) -> str:
    return report.write(run).read_text("utf-8")


def words(run: Path) -> str:
    """What a reader sees: no tags, no pictures, no scripts."""
    bare = re.sub(r"<(style|script).*?</\1>", " ", text(run), flags=re.S)
    return " ".join(re.sub(r"<[^>]*>", " ", bare).split())


def charts(run: Path) -> dict[str, Any]:
    found = re.search(r'id="charts">(.*?)</script>', text(run), re.S)
    assert found
    return {chart["title"]: chart for chart in json.loads(found[1])}


def metric(step: int, value: float | None, direction: str = "AtoB", name: str = "psnr", **more: Any) -> dict[str, Any]:
    line = {"step": step, "direction": direction, "weights": "ema", "metric": name, "value": value}
    return {**line, "spread": None, "baseline": {"input": 18.0}, "protocol": {"pictures": 40}, **more}


def test_a_page_says_what_was_trained_how_well_and_what_next(run: Path) -> None:
    said = words(run)
    assert "world A into those of world B, and back" in said
    assert "never saw a picture together with its answer" in said
    assert "400 of 400 steps" in said
    assert re.search(r"A → B : translations are closer to the true answer than the untouched inputs \(\d", said)
    assert f"viceversa translate {run} PICTURES OUT" in said
    assert "abacus" in said
    assert "40 A, 50 B" in said


def test_a_page_needs_nothing_else_and_its_pictures_have_words(run: Path) -> None:
    html = text(run)
    assert not re.findall(r'(?:src|href)="(?!data:|#|https://github.com/leeoniya/uPlot")[^"]*"', html)
    images = re.findall(r"<img [^>]*>", html)
    assert len(images) > 60
    assert all(re.search(r'alt="[^"]+"', image) and 'src="data:image/webp;base64,' in image for image in images)


def test_what_differs_from_the_preset_comes_first(tmp_path: Path) -> None:
    run = make_run(tmp_path, "train.batch=4", "generator.width=24")
    said = words(run)
    assert "Nearest preset: water2wine-small" in said
    place = said.index("What differs")
    rows = said[place : said.index("All of config.yaml")]
    assert "generator.width 24 16" in rows
    assert "train.batch 4 2" in rows
    assert "Pictures of each world per step" in rows, "with its meaning"
    assert "train.ema" not in rows
    assert "train.ema" not in said[:place]


@pytest.mark.parametrize("preset", presets())
def test_the_command_trains_the_same_again(preset: str) -> None:
    odd = [
        "data.root=a b's",
        "seed=7",
        "train.betas=[0.4, 0.99]",
        "train.length=30 steps",
        "train.decay=0 steps",
        "objective=hinge",
    ]
    config = methods.resolve(load_config(preset, [*odd, "data.workers=0", "init.AtoB="]))
    spoken = shlex.split(command(config, "runs/again"))
    assert spoken[:3] == ["viceversa", "train", nearest_preset(config)]
    again = methods.resolve(load_words(spoken[2:]))
    assert again == methods.resolve(load_config(preset, [*odd, "data.workers=0", "run=runs/again"]))


def test_the_command_speaks_of_another_generator() -> None:
    config = methods.resolve(load_config("cut", ["generator=resnet_vae", "method.layers=[input]", "data.root=1e-4"]))
    again = methods.resolve(load_words(shlex.split(command(config, "r"))[2:]))
    assert again.generator == config.generator
    assert again.data.root == "1e-4"


@pytest.mark.parametrize("missing", ["log.jsonl", "events.jsonl", "samples", "all"])
def test_everything_but_the_configuration_is_optional(run: Path, missing: str) -> None:
    for path in [run / missing] if missing != "all" else [p for p in run.iterdir() if p.name != "config.yaml"]:
        if path.is_dir():
            for file in path.iterdir():
                file.unlink()
        else:
            path.unlink()
    assert "How it was made" in words(run)


def test_a_line_that_is_being_written_and_one_of_another_kind_are_passed_over(run: Path) -> None:
    before = charts(run)
    with (run / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write('[1, 2]\n{"odd": 1}\n{"step": 450, "los')
    assert charts(run) == before


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"not a run, it has no config\.yaml"):
        report.write(tmp_path)


def test_what_a_run_contains_is_text_and_no_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    run = make_run(tmp_path, f"data.root={evil}")
    finding = {"step": 10, "since": 5, "finding": evil, "severity": "error", "message": evil, "remedy": evil}
    lines(run / "doctor.jsonl", [{**finding, "picture": None}])
    lines(run / "metrics.jsonl", [metric(100, 1.0, name=f"</script>{evil}"), metric(200, 1.0, name=f"</script>{evil}")])
    html = text(run)
    assert evil not in html
    assert "&lt;script&gt;alert(1)" in html


def test_findings_stand_there_with_remedy_and_picture_the_worst_first(run: Path) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(run / "inverted.png")
    note = {
        "step": 300,
        "since": 100,
        "finding": "tint",
        "severity": "note",
        "message": "a tint",
        "remedy": "",
        "picture": None,
    }
    error = {
        **note,
        "finding": "inversion",
        "severity": "error",
        "message": "light is dark",
        "remedy": "raise method.identity",
    }
    outside = {**note, "finding": "outside", "picture": "../../secret.png"}
    lines(run / "doctor.jsonl", [note, {**error, "message": "old"}, {**error, "picture": "inverted.png"}, outside])
    said = words(run)
    assert said.index("light is dark") < said.index("a tint")
    assert "raise method.identity" in said
    assert "old" not in said.split("light is dark")[0].split("What to try next")[-1]
    assert text(run).count("what was found") == 1


def test_scores_show_their_baselines_and_the_best_one(run: Path) -> None:
    values = [metric(step, value) for step, value in ((100, 15.0), (200, 27.0), (300, 26.0), (400, 17.0))]
    kid = [
        metric(s, 0.1 / s, "BtoA", "kid[efficientnet-lite0]", spread=0.002, baseline={"input": 0.3, "mean": 0.5})
        for s in (100, 400)
    ]
    same, other = metric(400, 0.9, name="l1"), metric(400, 0.1, name="ssim")
    more = [{**line, "baseline": {"input": 0.5}} for line in (same, other)]
    lines(run / "metrics.jsonl", [*values, *kid, *more, metric(400, 99.0, weights="raw"), metric(400, None)])
    said = words(run)
    assert said.count("not closer to the true answer than") == 1, "three metrics, one sentence"
    assert (
        "A → B : translations are not closer to the true answer than the untouched inputs (17 dB against 18 dB)" in said
    )
    assert "27 dB at step 200" in said
    assert "was best at step 200" in said
    assert "closer to the target world" in said
    assert "± 0.002" in said
    assert "mean 0.5" in said
    chart = next(chart for title, chart in charts(run).items() if "PSNR" in title and "Sample" not in title)
    assert [series["label"] for series in chart["series"]] == ["AtoB", "AtoB, input", "AtoB raw"]
    assert chart["series"][1]["dashed"]


def test_a_training_that_goes_on_says_so_and_how_long(tmp_path: Path) -> None:
    run = make_run(tmp_path, steps=(0, 100, 200), finished=False)
    html, said = text(run), words(run)
    assert "data-live" in html
    assert "200 of 400 steps, 20 s so far, about 20 s left" in said
    assert f"viceversa train {run}" in said
    assert "data-live" not in text(make_run(tmp_path / "other")).split("<script")[0]


def test_charts_hold_the_logged_values_grouped_and_thinned(run: Path) -> None:
    assert charts(run)["Translator against judge"]["steps"] == list(range(50, 401, 50))
    assert [s["label"] for s in charts(run)["Translator against judge"]["series"]] == ["gan_G", "gan_F", "gan_D_Y"]
    many = [{"step": s, "epoch": 0, "lr": 1.0, "losses": {"gan_G": float(s % 2)}} for s in range(1, 3001)]
    lines(run / "log.jsonl", many)
    chart = charts(run)["Translator against judge"]
    assert len(chart["steps"]) == 600
    assert chart["steps"][-1] == 3000
    assert chart["series"][0]["values"][0] == pytest.approx(0.6)  # the mean of 1 0 1 0 1


def test_the_film_has_the_first_and_the_last_step_and_stays_within_the_budget(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in range(1, 31):
        write_samples(run, step * 400, 0.5, rows=1)
    sheets = {step: run / "samples" / f"step-{step * 400:08d}.png" for step in range(1, 31)}
    assert re.search(r'data-steps="0 [\d ]+ 12000"', text(run))
    assert len(films.frames(sheets)) == 24
    monkeypatch.setattr(films, "BUDGET", 20_000)
    small = films.frames(sheets)
    assert sum(len(p.uri) for frame in small for p in frame.pictures.values()) < 20_000
    assert (small[0].step, small[-1].step) == (1, 30)


def test_a_sheet_is_cut_once_and_again_when_it_changed(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = text(run)
    calls: list[Path] = []
    monkeypatch.setattr(films, "read_sheet", lambda path: calls.append(path) or [])
    assert text(run).split("<footer")[0] == first.split("<footer")[0]
    assert not calls
    write_samples(run, 400, 0.1)
    text(run)
    assert [path.name for path in calls] == ["step-00000400.png"]


def test_large_pictures_are_shrunk() -> None:
    picture = films.embed(Image.new("RGB", (1024, 512)))
    assert (picture.width, picture.height) == (256, 128)
