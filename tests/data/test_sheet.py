"""A sheet of samples gives back every picture that went into it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from viceversa.data.grid import grid, places
from viceversa.data.sheet import Column, read_sheet, write_sheet


def noise(seed: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("size", [(64, 64), (200, 200), (100, 100), (256, 256), (48, 96), (7, 3)])
def test_pictures_come_back_unharmed(tmp_path: Path, size: tuple[int, int]) -> None:
    shown = [noise(1, *size), None, noise(2, *size)]
    columns = [
        Column("AtoB", "input", shown),
        Column("AtoB", "translation", [noise(3, *size)] * 3),
        Column("AtoB", "mask", [None] * 3),
        Column("BtoA", "input", [noise(4, *size, 1)] * 3),
    ]
    write_sheet(tmp_path / "sheet.png", columns)
    cells = read_sheet(tmp_path / "sheet.png")
    assert [(cell.direction, cell.kind, cell.row) for cell in cells] == [
        *[("AtoB", "input", row) for row in (0, 2)],
        *[("AtoB", "translation", row) for row in range(3)],
        *[("BtoA", "input", row) for row in range(3)],
    ]
    for cell, picture in zip(cells, [shown[0], shown[2], *[noise(3, *size)] * 3], strict=False):
        assert np.array_equal(np.asarray(cell.image), picture)
    assert np.array_equal(np.asarray(cells[-1].image), np.repeat(noise(4, *size, 1), 3, axis=2))


def test_another_png_is_no_sheet(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "other.png")
    assert read_sheet(tmp_path / "other.png") == []


def test_places_are_where_the_grid_puts_pictures() -> None:
    columns = {
        "one": [np.full((128, 128, 3), 10, np.uint8)] * 2,
        " ": [],
        "two": [np.full((128, 128, 3), 90, np.uint8)],
    }
    pixels, corners = np.asarray(grid(columns)), places(columns)
    for name, value in (("one", 10), ("two", 90)):
        for left, top in corners[name]:
            assert (pixels[top : top + 128, left : left + 128] == value).all()
            assert (pixels[top - 1, left : left + 128] != value).all()
            assert (pixels[top : top + 128, left - 1] != value).all()


def test_what_is_transparent_is_white_in_a_grid() -> None:
    clear = np.zeros((128, 128, 4), np.uint8)
    assert (np.asarray(grid({"": [clear]})) == 255).all()
