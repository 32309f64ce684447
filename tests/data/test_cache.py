"""The cache: training from it is training without it; what has changed is noticed; a stranger's is at worst refused."""

from __future__ import annotations

import itertools
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from viceversa.config import Config, ConfigError, DataConfig, TrainConfig
from viceversa.data import open_loader
from viceversa.data.cache import PIXELS, make_cache
from viceversa.data.layouts import find, find_splits
from viceversa.data.test_images import TestImages


def noise(seed: int, mode: str, size: tuple[int, int]) -> Image.Image:
    rng = np.random.default_rng(seed)
    if mode == "I;16":
        return Image.fromarray(rng.integers(0, 65536, size[::-1], np.uint16))
    bands = [Image.fromarray(rng.integers(0, 256, size[::-1], np.uint8)) for _ in Image.new(mode, (1, 1)).getbands()]
    return Image.merge(mode, bands)


def fill(root: Path, folders: tuple[str, ...], count: int = 5, modes: tuple[str, ...] = ("RGB",)) -> None:
    """Write pictures of noise; no two of the same size."""
    seed = itertools.count()
    for folder in folders:
        (root / folder).mkdir(parents=True)
        for number, mode in zip(range(count), itertools.cycle(modes), strict=False):
            size = (9 + number, 8 + 2 * number)
            noise(next(seed), mode, size).save(root / folder / f"{number}.png")


def as_config(root: Path, **data: Any) -> Config:
    options: dict[str, Any] = {"load": 12, "crop": 7, "workers": 0, **data}
    return Config(data=DataConfig(root=str(root), **options), train=TrainConfig(batch=2))


def training(config: Config, steps: int = 12) -> list[dict[str, torch.Tensor]]:
    return list(itertools.islice(open_loader(config).batches(0), steps))


def assert_same(with_cache: Config, without: Config, samples: bool = True) -> None:
    for one, other in zip(training(with_cache), training(without), strict=True):
        for domain in "AB":
            assert one[domain].dtype == other[domain].dtype
            assert torch.equal(one[domain], other[domain])
    if samples:
        for cached, fresh in zip(
            *(TestImages(find_splits(c.data), c).samples() for c in (with_cache, without)), strict=True
        ):
            assert cached.name == fresh.name
            for a, b in ((cached.a, fresh.a), (cached.b, fresh.b)):
                assert (a is None and b is None) or torch.equal(a, b)  # type: ignore[arg-type]


@pytest.mark.parametrize("resize", ["stretch", "short_side", "none"])
@pytest.mark.parametrize("layout", ["unpaired", "paired", "aligned"])
def test_training_from_the_cache_is_training_without(tmp_path: Path, resize: str, layout: str) -> None:
    fill(tmp_path / "in", ("train", "test") if layout == "aligned" else ("trainA", "trainB", "testA", "testB"))
    insist: Any = {"layout": layout}
    without = as_config(tmp_path / "in", resize=resize, **insist)
    made = make_cache(without.data, tmp_path / "cache")
    assert made.bytes == len((tmp_path / "cache" / PIXELS).read_bytes())
    assert_same(as_config(tmp_path / "cache", resize=resize), without)
    stored = open_loader(as_config(tmp_path / "cache", resize=resize)).splits.train.a[0]
    assert resize == "none" or min(stored.open().pixels.shape[:2]) == 12  # resized already, once for all


def test_broken_pictures_stay_in_the_list_so_that_the_order_stays(tmp_path: Path) -> None:
    fill(tmp_path / "in", ("trainA", "trainB"))
    (tmp_path / "in" / "trainA" / "3.png").write_text("<html>")
    (reason,) = make_cache(as_config(tmp_path / "in").data, tmp_path / "cache").broken
    assert reason.startswith(f"{tmp_path / 'in' / 'trainA' / '3.png'}: a web page")
    assert_same(as_config(tmp_path / "cache"), as_config(tmp_path / "in"))
    loader = open_loader(as_config(tmp_path / "cache"))
    list(itertools.islice(loader.batches(0), 5))
    assert list(loader.broken.values()) == [reason]


def test_it_needs_the_originals_no_longer_and_travels_between_processes(tmp_path: Path) -> None:
    fill(tmp_path / "in", ("trainA", "trainB"))
    make_cache(as_config(tmp_path / "in").data, tmp_path / "cache")
    expected = training(as_config(tmp_path / "in"))
    shutil.rmtree(tmp_path / "in")
    for found, wanted in zip(training(as_config(tmp_path / "cache", workers=1)), expected, strict=True):
        assert torch.equal(found["A"], wanted["A"])
    split = find(as_config(tmp_path / "cache").data)[1].train
    sent = pickle.dumps(split.a)
    assert len(sent) < 1000 * len(split.a)  # the pixels stay in the file
    assert np.array_equal(pickle.loads(sent)[2].open().pixels, split.a[2].open().pixels)
    assert [item.name for item in split.a[1:3]] == [split.a[1].name, split.a[2].name]


@pytest.mark.parametrize(
    ("key", "value"),
    [("load", 13), ("crop", 8), ("resize", "none"), ("channels_b", 1), ("test_fraction", 0.5), ("decay_crop", False)],
)
def test_a_cache_for_other_settings_is_refused(sound: Path, key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"data\.{key}"):
        open_loader(as_config(sound, **{key: value}))


def test_what_cannot_be_cached(tmp_path: Path) -> None:
    fill(tmp_path / "in", ("trainA", "trainB"), 2)
    make_cache(as_config(tmp_path / "in").data, tmp_path / "cache")
    with pytest.raises(FileExistsError, match="not empty"):
        make_cache(as_config(tmp_path / "in").data, tmp_path / "cache")
    with pytest.raises(FileExistsError, match="lies within"):
        make_cache(as_config(tmp_path / "in").data, tmp_path / "in" / "cache")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stranger")
    fill(root / "in", ("trainA", "trainB"), 2)
    make_cache(as_config(root / "in").data, root / "cache")
    return root / "cache"
