"""Runs side by side, and a figure for a paper."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from runs import lines, words

from viceversa.data.image_io import read_image
from viceversa.report import figure
from viceversa.report.compare import compare, short
from viceversa.report.figure import columns_of
from viceversa.translator import Translator

Runs = tuple[Path, Path]


def test_a_comparison_shows_how_runs_differ_and_each_on_the_same_inputs(runs: Runs, tmp_path: Path) -> None:
    line = {"step": 2, "direction": "AtoB", "metric": "kid[tiny]", "value": 0.25, "spread": 0.01}
    lines(runs[0] / "metrics.jsonl", [{**line, "protocol": {"seed": 0}}])
    compare(runs, tmp_path / "page.html")
    page, html = words(tmp_path / "page.html"), (tmp_path / "page.html").read_text("utf-8")
    assert "method.name cyclegan cut" in page
    assert "generator.mask true false" in page
    assert "data.crop" not in page
    assert re.search(r"kid\[tiny\] ↓ two_way 0\.25 ± 0\.01 protocol seed 0", page)
    counts = {"input, image 1": 2, "two_way, image 7": 2, "one_way, image 7": 1, "ground truth, image 7": 2}
    for alt, count in counts.items():
        assert html.count(f'alt="{alt}"') == count


def test_what_cannot_be_compared_is_refused(runs: Runs, tmp_path: Path) -> None:
    for given, out in ((list(runs), "page.png"), (list(runs), "run"), ([runs[0]], "page.html")):
        with pytest.raises(ValueError, match=r"\.html"):
            compare(given, tmp_path / out)
    with pytest.raises(ValueError, match="twice"):
        short([Path("a"), Path("b/../a")])
    assert short([Path("a/runs/x"), Path("a/runs/y/z")]) == ["x", "y/z"]
    with pytest.raises(FileNotFoundError, match="nothing"):
        compare([runs[0], tmp_path / "nothing"], tmp_path / "page.html")


def test_columns_are_the_inputs_their_translations_and_the_truth(runs: Runs, worlds: Path) -> None:
    shown = columns_of(runs[0], ["input", "BtoA", "cycle", "mask", "truth"], 2, [2, 5])
    assert [len(column) for column in shown.values()] == [2] * 5
    files = sorted((worlds / "testB").iterdir())
    for place, number in enumerate((1, 4)):
        before = read_image(files[number]).pixels
        after = Translator.load(runs[0], "BtoA")(before)
        truth = read_image(worlds / "testA" / files[number].name).pixels
        back = Translator.load(runs[0], "AtoB")(after)
        for name, image in {"input": before, "BtoA": after, "cycle": back, "truth": truth}.items():
            assert np.array_equal(shown[name][place], image)
    assert shown["mask"][0].shape == (32, 32, 1)
    assert len(columns_of(runs[0], ["input"], 2)["input"]) == 2


@pytest.mark.parametrize(
    ("number", "names", "pick"),
    [
        *((1, ["BtoA"], []), (1, ["input", "cycle"], []), (1, ["mask"], []), (0, ["AtoB", "BtoA"], [])),
        *((0, ["fake"], []), (0, ["input"], [8]), (0, ["input"], [0, 1])),
    ],
)
def test_what_a_run_does_not_have_is_refused(runs: Runs, number: int, names: list[str], pick: list[int]) -> None:
    with pytest.raises(ValueError, match=r"AtoB|column|there are 7"):
        columns_of(runs[number], names, 2, pick)


def noise(channels: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (20, 30, channels), dtype=np.uint8) for _ in range(3)]


def test_a_figure_has_every_pixel_and_its_size_in_print(tmp_path: Path) -> None:
    columns = {"wine & water": noise(3), "mask": noise(1)}
    figure.write(tmp_path / "figure.png", columns, width=3.3, dpi=300)
    with Image.open(tmp_path / "figure.png") as image:
        assert image.info["dpi"][0] >= 300
        assert image.width / image.info["dpi"][0] == pytest.approx(3.3, rel=0.01)
        pixels = np.asarray(image)
    scale = 17  # 2 x 30 pixels on 3.3 inches
    enlarged = np.kron(noise(3)[1], np.ones((scale, scale, 1), np.uint8))
    height, width = enlarged.shape[:2]
    assert any(
        np.array_equal(pixels[y : y + height, x : x + width], enlarged)
        for y, x in zip(*np.nonzero((pixels == enlarged[0, 0]).all(2)), strict=True)
        if y + height <= len(pixels) and x + width <= pixels.shape[1]
    )


def test_other_formats_labels_and_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a figure is a \.png"):
        figure.write(tmp_path / "figure.jpg", {"": noise(3)})
    with pytest.raises(ValueError, match="2 columns"):
        figure.labelled({"a": [], "b": []}, ["x"])
    with pytest.raises(ValueError, match="by number"):
        figure.numbers("3,x")
    assert not list(tmp_path.iterdir())
