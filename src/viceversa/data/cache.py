"""A tensor cache: images decoded and resized once, in one memory-mapped file.

`cache.json`, the card, says what the images are called, where in `pixels.bin` each begins, and how they were prepared;
`pixels.bin` is a row of bytes. Nothing in it can run code, and what does not add up is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from viceversa.config import ConfigError, DataConfig
from viceversa.data.datasets import Found, Split, completed
from viceversa.data.image_data import ImageData, ImageError, Pixels
from viceversa.data.transforms import fitted, prepared, read_each
from viceversa.files import Track, replacing_folder

CARD, PIXELS, FORMAT = "cache.json", "pixels.bin", "viceversa cache 3"
SETTINGS = [
    *("resize", "load", "crop", "channels_a", "channels_b", "scale"),
    *("test_fraction", "paired_test", "pair_pattern"),
]

Record: TypeAlias = tuple[int, int, int, int, str]  # where it begins, height, width, channels, type of numbers


@dataclass(frozen=True, slots=True)
class CacheSample:
    """An image of the cache: where its pixels lie, or why it could not be read when the cache was made."""

    folder: Path
    domain: str
    name: str
    record: Record | str

    def __str__(self) -> str:
        return f"{self.folder}: {self.domain}{self.name}"

    def open(self) -> ImageData:
        """Return the pixels, with the channels that the cache was made for; raise ImageError if there are none."""
        if isinstance(self.record, str):
            raise ImageError(self.record)
        offset, height, width, channels, kind = self.record
        length = height * width * channels * np.dtype(kind).itemsize
        pixels: NDArray[Any] = np.array(_mapped(self.folder / PIXELS)[offset : offset + length]).view(kind)
        if kind != "uint8" and not (pixels.min() >= 0 and pixels.max() <= 1):  # nor if one is not a number
            raise ImageError(f"{self}: holds values outside 0 to 1; make the cache anew")
        return ImageData(pixels.reshape(height, width, channels), None, channels == 1)


@lru_cache(maxsize=4)
def _mapped(path: Path) -> NDArray[np.uint8]:
    return np.memmap(path, np.uint8, "r")


def open_cache(data: DataConfig) -> Found:
    """Open the cache at `data.root`; raise ConfigError if it is damaged, or was made for other settings."""
    folder = Path(str(data.root))
    _mapped.cache_clear()  # another may lie there now
    try:
        card = json.loads((folder / CARD).read_text("utf-8"))
        if card["format"] != FORMAT:
            raise ConfigError(f"{folder}: {CARD} is not that of a cache of this version; make the cache anew")
        for key in SETTINGS:
            made, wanted = card["settings"][key], getattr(data, key)
            if made != wanted:
                raise ConfigError(f"{folder}: made for data.{key}={made}, the training wants {wanted}; make another")
        if not data.decay_crop:
            raise ConfigError(f"{folder}: holds pictures of one size, and data.decay_crop=false needs two")
        train, test = (_read_split(folder, card["splits"][name]) for name in ("train", "test"))
        return Found(train, test if test.a or test.b else None)
    except ConfigError:
        raise
    except (KeyError, TypeError, IndexError, ValueError, OverflowError, OSError, RecursionError) as error:
        raise ConfigError(f"{folder}: {CARD} is damaged ({error!r}); make the cache anew") from None


def _read_split(folder: Path, said: Mapping[str, Any]) -> Split:
    """Read what the card says of a split; check every number, so that no image reaches beyond the file."""
    size, paired = (folder / PIXELS).stat().st_size, bool(said["paired"])
    sides: dict[str, list[CacheSample]] = {"a": [], "b": []}
    for domain, samples in sides.items():
        for name, record in said[domain]:
            if not isinstance(record, str):
                offset, height, width, channels, kind = record
                sound = kind in ("uint8", "float32") and all(type(n) is int and n >= 0 for n in record[:4])
                length = height * width * channels * np.dtype(kind).itemsize if sound else 0
                if not length or offset + length > size:
                    raise ConfigError(f"{folder}: {CARD} and {PIXELS} do not fit; make the cache anew")
                record = (offset, height, width, channels, kind)
            samples.append(CacheSample(folder, "" if paired else f"{domain.upper()}/", str(name), record))
    if paired and len(sides["a"]) != len(sides["b"]):
        raise ConfigError(f"{folder}: {CARD} is damaged (pairs of different number); make the cache anew")
    return Split(sides["a"], sides["b"], paired)


@dataclass(frozen=True)
class CacheReport:
    """What a new cache holds, its size in bytes, and which images are broken and why."""

    note: str
    bytes: int
    broken: list[str]


def make_cache(
    data: DataConfig, out: Path, *, overwrite: bool = False, track: Track = lambda groups, total: groups
) -> CacheReport:
    """Write the images of a data set into a cache, whole or not at all.

    Training images are stored as they are before anything is left to chance: with their channels, and resized; test
    images as the sample grids show them. Broken ones stay in the list as such, so that the order of training is that
    without a cache. Raises as `find_splits` does, and FileExistsError for an `out` that is in the way.
    """
    from viceversa.data.layouts import find  # which opens caches

    root, target = Path(data.root or "").expanduser().resolve(), out.resolve()
    if root.is_relative_to(target) or target.is_relative_to(root):
        raise FileExistsError(f"{out}: lies within {root}, or holds it; choose a folder elsewhere")
    layout, found = find(data)
    splits = completed(layout, found, data)
    with replacing_folder(out, overwrite=overwrite) as folder:
        with (folder / PIXELS).open("wb") as file:
            train = _store(splits.train, file, data, fitted, track)
            test = _store(splits.test, file, data, prepared, track)
            size = file.tell()
        settings = {key: getattr(data, key) for key in SETTINGS}
        card = {"format": FORMAT, "settings": settings, "splits": {"train": train, "test": test}}
        (folder / CARD).write_text(json.dumps(card), "utf-8")
    records = [record for split in (train, test) for domain in "ab" for _, record in split[domain]]
    return CacheReport(splits.note, size, [record for record in records if isinstance(record, str)])


def _store(
    split: Split, file: BinaryIO, data: DataConfig, sized: Callable[..., list[Pixels]], track: Track
) -> dict[str, Any]:
    """Store the images of a split, and return what the card says of them."""
    said: dict[str, Any] = {"a": [], "b": [], "paired": split.paired}
    units = [*split.units()]
    for domains, samples in track(units, len(units)):
        read = read_each(samples, domains, data)
        sound = [image for image in read if not isinstance(image, ImageError)]
        stored = iter(sized(sound, data) if sound else ())
        for domain, sample, image in zip(domains.lower(), samples, read, strict=True):
            record: Record | str = str(image)
            if not isinstance(image, ImageError):
                pixels = next(stored)
                record = (file.tell(), *pixels.shape, str(pixels.dtype))
                file.write(np.ascontiguousarray(pixels).tobytes())
            said[domain].append((sample.name, record))
    return said
