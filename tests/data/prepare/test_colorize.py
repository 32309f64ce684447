"""Label maps get colours, and stay what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from viceversa.data.image_data import ImageError
from viceversa.data.image_io import read_image
from viceversa.data.prepare.colorize import colorize, palette

LABELS = np.random.default_rng(0).integers(0, 34, (6, 8), np.uint8)


@pytest.mark.parametrize("kind", ["L", "RGB", "I;16", "P", "1"])
def test_indices_stay_and_get_colours(tmp_path: Path, kind: str) -> None:
    labels = LABELS > 16 if kind == "1" else LABELS
    image = Image.fromarray(labels.astype(np.uint16) if kind == "I;16" else labels)
    if kind == "P":
        image.putpalette([7] * 768)
    (tmp_path / "in" / "city").mkdir(parents=True)
    (image.convert("RGB") if kind == "RGB" else image).save(tmp_path / "in" / "city" / "b\udce9.png")
    assert colorize(tmp_path / "in", tmp_path / "out") == 1
    path = tmp_path / "out" / "city" / "b\udce9.png"
    with Image.open(path) as written:
        assert np.array_equal(np.asarray(written), labels)
    colours = np.array(palette()).reshape(256, 3)
    assert np.array_equal(read_image(path).pixels, colours[labels.astype(int)])


def test_colours_are_easy_to_tell_apart() -> None:
    colours = np.array(palette()).reshape(256, 3)
    assert (colours[0].tolist(), colours[255].tolist()) == ([0, 0, 0], [255, 255, 255])
    assert len(np.unique(colours, axis=0)) == 256
    first = colours[:34]
    apart = np.linalg.norm(first[:, None] - first[None], axis=2) + 999 * np.eye(34)
    assert apart.min() > 70


@pytest.mark.parametrize("pixels", [np.zeros((4, 4, 3), np.uint8) + np.arange(3, dtype=np.uint8), LABELS * 300.0])
def test_what_holds_no_indices_is_refused(tmp_path: Path, pixels: np.ndarray) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels.astype(np.float32) if pixels.dtype == float else pixels).save(tmp_path / "in" / "a.tif")
    with pytest.raises(ImageError, match=r"a\.tif: no class indices"):
        colorize(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()
