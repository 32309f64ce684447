"""The cache: training from it is training without it; what has changed is noticed; a stranger's is at worst refused."""

from __future__ import annotations

import contextlib
import itertools
import json
import pickle
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from viceversa.config import Config, ConfigError, DataConfig, TrainConfig
from viceversa.data import ImageError, open_loader
from viceversa.data.cache import CARD, PIXELS, make_cache
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


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_pictures_and_channels(data: st.DataObject) -> None:
    channels: Any = {f"channels_{domain}": data.draw(st.sampled_from([1, 3, 4])) for domain in "ab"}
    options = {"resize": data.draw(st.sampled_from(["stretch", "short_side", "none"])), **channels}
    modes = ["RGB", "L", "RGBA", "LA"] if 4 in channels.values() else ["RGB", "L", "RGBA", "LA", "I;16"]
    with tempfile.TemporaryDirectory() as name:
        drawn = tuple(data.draw(st.lists(st.sampled_from(modes), min_size=1, max_size=5)))
        fill(Path(name, "in"), ("A", "B"), 5, drawn)  # no test split: some are held out
        without = as_config(Path(name, "in"), test_fraction=0.3, **options)
        make_cache(without.data, Path(name, "cache"))
        assert_same(as_config(Path(name, "cache"), test_fraction=0.3, **options), without)


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


def opened(folder: Path) -> None:
    """Do all that training would do with a cache; a crash that is not one of our messages comes through."""
    for split in (found := find(as_config(folder).data)[1]).train, found.test:
        for item in itertools.chain(split.a, split.b) if split else ():
            picture = item.open()
            assert picture.pixels.ndim == 3


@pytest.mark.parametrize("content", [b"", b"<html>", None])
def test_a_file_of_pixels_that_ends_too_early_is_refused(sound: Path, tmp_path: Path, content: bytes | None) -> None:
    shutil.copytree(sound, tmp_path / "cache")
    whole = (sound / PIXELS).read_bytes()
    (tmp_path / "cache" / PIXELS).write_bytes(whole[:-1] if content is None else content)
    with pytest.raises(ConfigError, match="make the cache anew"):
        opened(tmp_path / "cache")


JUNK = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.integers(), max_size=3)
)
PLACES = st.sampled_from(
    [
        ("format",), ("settings",), ("settings", "load"), ("splits",), ("splits", "train"),
        ("splits", "train", "a"), ("splits", "test", "b"), ("splits", "train", "paired"), ("splits", "train", "a", 0),
        *(("splits", "train", "a", 0, place) for place in range(2)),
        *(("splits", "train", "a", 0, 1, place) for place in range(5)),
    ]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(PLACES, JUNK | st.sampled_from([2**62, 2**63 - 1, 2**63, -(2**63), 10**30, 2**31]))
def test_a_card_from_a_stranger_is_at_worst_refused(sound: Path, place: tuple[Any, ...], junk: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "cache")
        shutil.copytree(sound, folder)
        card = json.loads((folder / CARD).read_text())
        inner = card
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = junk
        (folder / CARD).write_text(json.dumps(card))
        with contextlib.suppress(ConfigError, ImageError):
            opened(folder)
