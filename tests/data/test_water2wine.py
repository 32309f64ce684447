"""The built-in data set: deterministic, paired in truth, unpaired in training, no background tells A from B."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support import contents
from viceversa.data.glassware import SHAPES
from viceversa.data.water2wine import BACKDROPS, make, render, scene

SCENES = [scene(0, i) for i in range(40)]


def test_scenes_follow_from_integers_and_cover_all_there_is() -> None:
    assert scene(3, 5) == scene(3, 5)
    assert len({scene(seed, index) for seed in range(5) for index in range(20)}) == 100
    assert np.array_equal(render(scene(3, 5), "B", 48), render(scene(3, 5), "B", 48))
    assert {s.shape for s in SCENES} == set(SHAPES)
    assert {s.backdrop for s in SCENES} == set(BACKDROPS)
    assert {s.light > 0 for s in SCENES} == {s.pour is None for s in SCENES} == {True, False}


def test_every_kind_of_glass_is_as_frequent_in_one_domain_as_in_the_other() -> None:
    def kinds(family: int) -> Counter[tuple[str, float, float]]:
        scenes = [scene(1, 3 * i + family) for i in range(2 * 27)]
        return Counter((s.shape, round(s.wall[0] / s.table[0], 4), round(s.wall[1] / s.table[1], 4)) for s in scenes)

    assert kinds(0) == kinds(1) == kinds(2)
    assert list(kinds(0).values()) == [2] * 27


def test_truth_differs_in_the_liquid_and_nowhere_far_from_the_glass() -> None:
    size = 64
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    for s in SCENES:
        water, wine = render(s, "A", size).astype(float), render(s, "B", size).astype(float)
        difference = np.abs(water - wine).max(2)
        above = y < s.base - s.height * (s.level + 0.15)  # everything over the liquid's surface
        if s.pour is not None:
            above &= np.abs(x - s.x) > 0.2
        wall = (np.abs(x - s.x) > s.height * s.width + 0.03) & (y < s.base - 0.15)  # left and right of the glass
        assert difference[above].max(initial=0) <= 1
        assert difference[wall].max() <= 1
        middle = s.base - s.height * (SHAPES[s.shape].floor + s.level) / 2
        liquid = (np.abs(x - s.x) < 0.1) & (np.abs(y - middle) < 0.05)
        assert difference[liquid].mean() > 25
        red = wine[liquid].mean(0)
        assert red[0] > 1.7 * max(red[1], red[2])  # wine is red,
        assert np.ptp(water[liquid].mean(0)) < 75  # and water is not


def test_make_writes_unpaired_training_halves_and_true_tests(tmp_path: Path) -> None:
    numbers = {"trainA": 6, "trainB": 6, "testA": 3, "testB": 3}
    make(tmp_path, size=16, count=6, test=3, seed=7)
    assert set(contents(tmp_path)) == {f"{folder}/{i:05d}.png" for folder, n in numbers.items() for i in range(n)}
    drawn = {domain: [render(scene(7, i), domain, 16).tobytes() for i in range(60)] for domain in "AB"}
    used = {
        folder: [drawn[folder[-1]].index(Image.open(tmp_path / folder / f"{i:05d}.png").tobytes()) for i in range(n)]
        for folder, n in numbers.items()
    }
    assert used["testA"] == used["testB"]
    assert len({*used["trainA"], *used["trainB"], *used["testA"]}) == 6 + 6 + 3


def test_make_is_deterministic_and_grows(tmp_path: Path) -> None:
    for name, count, seed in (("a", 3, 0), ("more", 5, 0), ("other", 3, 1)):
        make(tmp_path / name, size=16, count=count, test=1, seed=seed)
    first = contents(tmp_path / "a")
    assert {k: v for k, v in contents(tmp_path / "more").items() if k in first} == first
    assert all(contents(tmp_path / "other")[name] != data for name, data in first.items())
    with pytest.raises(FileExistsError, match="not empty"):
        make(tmp_path / "a", size=16, count=3, test=1)
    make(tmp_path / "a", size=16, count=3, test=1, overwrite=True)
    assert contents(tmp_path / "a") == first


@pytest.mark.parametrize("wrong", [{"size": 15}, {"count": 0}, {"test": -1}])
def test_make_refuses_what_it_cannot_do(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="use a size of 16 or more"):
        make(tmp_path, **{"size": 16, "count": 1, "test": 1, **wrong})
    assert not list(tmp_path.iterdir())
