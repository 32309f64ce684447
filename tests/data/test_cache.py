"""The cache: training from it is training without it."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from batches import config_of, draw, equal
from PIL import Image

from support import noise, save
from viceversa.config import Config
from viceversa.data import open_loader
from viceversa.data.cache import make_cache
from viceversa.data.eval_set import EvalSet
from viceversa.data.layouts import find_splits


def fill(root: Path, folders: tuple[str, ...], count: int = 5, mode: str = "RGB") -> None:
    """Write pictures of noise; no two of a folder have the same size."""
    channels, kind = {"RGBA": (4,), "RGB": (3,)}.get(mode, ()), np.uint16 if mode == "I;16" else np.uint8
    for folder, number in itertools.product(folders, range(count)):
        seed = 100 * folders.index(folder) + number
        save(root / folder / f"{number}.png", noise(8 + 2 * number, 9 + number, *channels, seed=seed, kind=kind))


def assert_same(with_cache: Config, without: Config) -> None:
    assert equal(draw(with_cache, 12), draw(without, 12))
    sides = (EvalSet(find_splits(c.data), c).samples() for c in (with_cache, without))
    for cached, fresh in zip(*sides, strict=True):
        assert cached.name in (fresh.name, f"testA/{fresh.name}")
        for a, b in ((cached.a, fresh.a), (cached.b, fresh.b)):
            assert (a is None and b is None) or torch.equal(a, b)


@pytest.mark.parametrize("resize", ["stretch", "short_side", "none"])
@pytest.mark.parametrize("layout", ["unpaired", "paired", "aligned"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "I;16"])
def test_training_from_the_cache_is_training_without(tmp_path: Path, resize: str, layout: str, mode: str) -> None:
    folders = ("train", "test") if layout == "aligned" else ("trainA", "trainB", "testA", "testB")
    fill(tmp_path / "in", folders, mode=mode)
    channels = {"RGBA": 4, "RGB": 3}.get(mode, 1)
    options: dict[str, Any] = {"resize": resize, "channels_a": channels, "channels_b": channels}
    without = config_of(tmp_path / "in", **options, layout=layout)
    make_cache(without.data, tmp_path / "cache")
    assert_same(config_of(tmp_path / "cache", **options), without)
    stored = open_loader(config_of(tmp_path / "cache", **options)).splits.train.a[0]
    assert resize == "none" or min(stored.open().pixels.shape[:2]) == 12  # resized already, once for all


def test_broken_pictures_stay_in_the_list_so_that_the_order_stays(tmp_path: Path) -> None:
    fill(tmp_path / "in", ("trainA", "trainB"))
    (tmp_path / "in" / "trainA" / "3.png").write_text("<html>")
    _, (reason,) = make_cache(config_of(tmp_path / "in").data, tmp_path / "cache")
    assert reason.startswith(f"{tmp_path / 'in' / 'trainA' / '3.png'}: a web page")
    assert_same(config_of(tmp_path / "cache"), config_of(tmp_path / "in"))
    loader = open_loader(config_of(tmp_path / "cache"))
    list(itertools.islice(loader.batches(0), 5))
    assert [*loader.broken] == [str(tmp_path / "cache" / "trainA" / "3.npy")]


def test_what_is_in_the_way(tmp_path: Path) -> None:
    fill(tmp_path / "in", ("trainA", "trainB"), 2)
    Image.new("RGB", (9, 9)).save(tmp_path / "in" / "trainA" / "1.jpg")  # beside 1.png
    (tmp_path / "in" / "trainB" / "1.png").rename(tmp_path / "in" / "trainB" / "new\nline, ü.png")
    data = config_of(tmp_path / "in").data
    make_cache(data, tmp_path / "cache")
    assert len(find_splits(config_of(tmp_path / "cache").data).train.a) == 2
    for out, reason in (("cache", "not empty"), ("in/cache", "lies within")):
        with pytest.raises(FileExistsError, match=reason):
            make_cache(data, tmp_path / out)
