"""A figure loses nothing, prints at the size asked for, and refuses what a run does not have."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from viceversa.data.image_io import read_image
from viceversa.report import figure
from viceversa.translator import Translator

Runs = tuple[Path, Path]


def test_columns_are_the_inputs_their_translations_and_the_truth(runs: Runs, worlds: Path) -> None:
    shown = figure.columns_of(runs[0], ["input", "BtoA", "cycle", "mask", "truth"], 2, [2, 5])
    assert [len(column) for column in shown.values()] == [2] * 5
    files = sorted((worlds / "testB").iterdir())
    for place, number in enumerate((1, 4)):
        before = read_image(files[number]).pixels
        after = Translator.load(runs[0], "BtoA").pixels(before)
        assert np.array_equal(shown["input"][place], before)
        assert np.array_equal(shown["BtoA"][place], after)
        assert np.array_equal(shown["cycle"][place], Translator.load(runs[0], "AtoB").pixels(after))
        assert np.array_equal(shown["truth"][place], read_image(worlds / "testA" / files[number].name).pixels)
    assert shown["mask"][0].shape == (32, 32, 1)
    spread = figure.columns_of(runs[0], ["input"], 2)["input"]
    assert [picture.shape for picture in spread] == [(32, 32, 3)] * 2


@pytest.mark.parametrize(
    ("number", "names", "pick", "said"),
    [
        (1, ["BtoA"], [], "translates AtoB, not BtoA"),
        (1, ["input", "cycle"], [], "does not translate back"),
        (1, ["mask"], [], "no attention mask"),
        (0, ["AtoB", "BtoA"], [], "one direction"),
        (0, ["fake"], [], "fake: no such column; there are input, AtoB"),
        (0, ["input"], [6], "there are 5 test pictures, from 1 on; 6 is not"),
        (0, ["input"], [0, 1], "there are 5 test pictures"),
    ],
)
def test_what_a_run_has_not_is_refused(runs: Runs, number: int, names: list[str], pick: list[int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        figure.columns_of(runs[number], names, 2, pick)


def noise(channels: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (20, 30, channels), dtype=np.uint8) for _ in range(3)]


def test_a_png_has_every_pixel_and_its_size_in_print(tmp_path: Path) -> None:
    columns = {"input": noise(3), "mask": noise(1)}
    layout = figure.write(tmp_path / "figure.png", columns, width=3.3, dpi=300)
    with Image.open(tmp_path / "figure.png") as image:
        assert image.info["dpi"][0] >= 300
        assert image.width / image.info["dpi"][0] == pytest.approx(3.3, rel=0.01)
        pixels = np.asarray(image)
    for number, pictures in enumerate(columns.values()):
        for row, picture in enumerate(pictures):
            left, top = layout.corner(number, row)
            part = pixels[top : top + layout.cell[1] : layout.scale, left : left + layout.cell[0] : layout.scale]
            assert (part == picture).all()
    assert (pixels[: layout.header] < 128).any(), "labels"


def test_an_svg_has_the_pictures_as_they_are_and_text_as_text(tmp_path: Path) -> None:
    columns = {"wine & water": noise(3)}
    figure.write(tmp_path / "figure.svg", columns, width=5)
    text = (tmp_path / "figure.svg").read_text("utf-8")
    assert 'width="5.0000in"' in text
    assert ">wine &amp; water</text>" in text
    found = re.findall(r"base64,([^\"]+)", text)
    for data, picture in zip(found, columns["wine & water"], strict=True):
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert np.array_equal(np.asarray(image), picture)


def test_letters_that_pillows_font_has_not_take_another_or_say_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.ttf: no font to write it with; give one with --font"):
        figure.write(tmp_path / "figure.png", {"→": noise(3)}, font=tmp_path / "none.ttf")
    assert not (tmp_path / "figure.png").exists()


def test_other_formats_labels_and_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a figure is a \.png or a \.svg"):
        figure.write(tmp_path / "figure.jpg", {"": noise(3)})
    with pytest.raises(ValueError, match="2 columns need as many different labels"):
        figure.labelled({"a": [], "b": []}, ["x"])
    with pytest.raises(ValueError, match="pick test pictures by number"):
        figure.numbers("3,x")
