"""The creatures: deterministic, whole, the same scene in both worlds but for the coat, and of like brightness."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from viceversa.data.drawing.anatomy import BREEDS, legs, trunk
from viceversa.data.drawing.creatures import relief, render, window
from viceversa.data.drawing.landscapes import PLACES
from viceversa.data.drawing.painting import grid_of
from viceversa.data.stripes import COATS, make, scene

SCENES = [scene(0, i) for i in range(40)]


@pytest.fixture(scope="module")
def pictures() -> dict[str, np.ndarray]:
    return {world: np.stack([render(s, world, 48) for s in SCENES]).astype(np.float64) for world in "AB"}


def coarse(image: np.ndarray) -> np.ndarray:
    """The picture at 16 x 16, averaged as light, which is what stripes too fine for the pixels do."""
    planes = [Image.fromarray(image[:, :, i].astype(np.float32) ** 2) for i in range(3)]
    return np.stack([np.sqrt(np.asarray(plane.resize((16, 16), Image.Resampling.BOX))) for plane in planes])


def test_same_integers_give_the_same_creature_and_others_another() -> None:
    assert scene(3, 5) == scene(3, 5)
    assert len({scene(seed, index) for seed in range(5) for index in range(20)}) == 100
    assert np.array_equal(render(scene(3, 5), "B", 32), render(scene(3, 5), "B", 32))
    assert not np.array_equal(render(scene(3, 5), "A", 32), render(scene(4, 5), "A", 32))


def test_scenes_cover_breeds_places_and_both_sides() -> None:
    many = [scene(1, i) for i in range(200)]
    assert {s.breed for s in many} == set(BREEDS)
    assert {s.place for s in many} == set(PLACES)
    assert {s.facing for s in many} == {-1, 1}
    assert len({s.hair for s in many}) == len(COATS)


@pytest.mark.parametrize("size", [16, 33, 64, 130])
def test_any_size_shows_the_same_picture(size: int) -> None:
    for s in SCENES[:2]:
        image = render(s, "B", size)
        assert image.shape == (size, size, 3)
        assert np.abs(coarse(image) - coarse(render(s, "B", 192))).mean() < 6  # another creature: 30 or more


def test_unknown_world_is_refused() -> None:
    with pytest.raises(ValueError, match='world must be "A"'):
        render(SCENES[0], "C", 32)


def test_creatures_are_whole_and_in_the_frame() -> None:
    x, y = grid_of(64)
    for s in (scene(2, i) for i in range(60)):
        u, v = s.facing * (x - s.x) / s.trunk, (s.ground - y) / s.trunk
        inside = relief(trunk(s) + legs(s, near=True), u, v, 0.01).inside
        assert inside[:, [0, -1]].max() == inside[[0, -1]].max() == 0
        assert 0.07 < inside.mean() < 0.4
        rows, columns = window(trunk(s) + legs(s, near=True), u, v)
        inside[rows, columns] = 0
        assert inside.max() == 0


def test_only_the_coat_differs(pictures: dict[str, np.ndarray]) -> None:
    differs = np.abs(pictures["A"] - pictures["B"]).max(3) > 6
    x, y = grid_of(48)
    for s, changed in zip(SCENES, differs, strict=True):
        u, v = s.facing * (x - s.x) / s.trunk, (s.ground - y) / s.trunk
        flesh = np.maximum(
            relief(trunk(s) + legs(s, near=True), u, v, 0.05).inside, relief(legs(s, near=False), u, v, 0.05).inside
        )
        assert not changed[flesh == 0].any()
        assert changed[flesh > 0].mean() > 0.5


def test_striped_means_dark_and_pale_by_turns() -> None:
    for s in SCENES[:12]:
        row = round((s.ground - s.trunk * (BREEDS[s.breed].leg + 0.15)) * 128)
        reach = 0.4 * s.trunk
        columns = slice(round((s.x - reach) * 128), round((s.x + reach) * 128))
        plain, striped = (render(s, world, 128)[row, columns].astype(float).mean(1) for world in "AB")
        assert np.count_nonzero(np.diff(striped > (striped.max() + striped.min()) / 2)) >= 6
        assert np.ptp(striped) > 2 * np.ptp(plain)


def test_neither_brightness_nor_colour_tells_the_worlds_apart(pictures: dict[str, np.ndarray]) -> None:
    gap = pictures["A"].mean((1, 2)) - pictures["B"].mean((1, 2))
    assert np.abs(gap.mean(0)).max() < 4
    assert np.abs(gap).max() < 12
    corner = pictures["A"][:, :6, :6].mean((1, 2, 3))
    assert corner.min() < 70
    assert corner.max() > 170


def test_input_is_visibly_not_the_truth(pictures: dict[str, np.ndarray]) -> None:
    psnr = 10 * np.log10(255**2 / ((pictures["A"] - pictures["B"]) ** 2).mean((1, 2, 3)))
    assert 20 < psnr.mean() < 26
    assert psnr.max() < 30


def test_make_writes_unpaired_training_halves_and_true_tests(tmp_path: Path) -> None:
    make(tmp_path, size=16, count=4, test=2, seed=7)
    number = {
        **{("trainA", i): 3 * i for i in range(4)},
        **{("trainB", i): 3 * i + 1 for i in range(4)},
        **{("testA", i): 3 * i + 2 for i in range(2)},
        **{("testB", i): 3 * i + 2 for i in range(2)},
    }
    assert len(list(tmp_path.rglob("*.png"))) == len(number)
    for (folder, i), index in number.items():
        stored = np.asarray(Image.open(tmp_path / folder / f"{i:05d}.png"))
        assert np.array_equal(stored, render(scene(7, index), folder[-1], 16))
