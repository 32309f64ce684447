"""A tensor cache: pictures decoded and resized once, in one memory-mapped file. `prepare/caching.py` writes it.

`cache.json` says what the pictures are called, where in `pixels.npy` each begins, how they were prepared, and of which
files; `pixels.npy` is one row of bytes. Nothing in it can run code, and what does not add up is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from viceversa.config import ConfigError, DataConfig
from viceversa.data.card import CARD, check_files, check_settings, read_card
from viceversa.data.decode import ImageError, Picture
from viceversa.data.items import Item
from viceversa.data.sources import Found, Split

PIXELS = "pixels.npy"
KINDS: dict[str, np.dtype[Any]] = {"uint8": np.dtype("u1"), "float16": np.dtype("<f2"), "float32": np.dtype("<f4")}
FIELDS = ("offset", "height", "width", "channels", "kind")  # kind: a number, by the order of KINDS
SIDE, DEPTH = 2**17, 2**10  # more pixels a side, or channels, no picture has


class Blob:
    """The file of pixels, mapped into memory when it is first read; a copy for another process maps it anew."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._bytes: NDArray[np.uint8] | None = None

    def __reduce__(self) -> tuple[type[Blob], tuple[Path]]:
        return Blob, (self.path,)

    @property
    def bytes(self) -> NDArray[np.uint8]:
        """All of it. Raises ConfigError for anything but a row of bytes."""
        if self._bytes is None:
            try:
                found: object = np.load(self.path, mmap_mode="r", allow_pickle=False)
            except OSError:
                raise
            except Exception as error:  # on damaged headers numpy raises nearly anything: TokenError, SyntaxError, ...
                raise ConfigError(f"{self.path}: damaged ({error}); make the cache anew") from None
            if not isinstance(found, np.ndarray) or found.dtype != np.uint8 or found.ndim != 1:
                raise ConfigError(f"{self.path}: not the pixels of a cache; make it anew")
            self._bytes = found
        return self._bytes


@dataclass(frozen=True, slots=True)
class CacheItem:
    """A picture of the cache: where its pixels lie, or why it could not be read when the cache was made."""

    blob: Blob
    label: str
    name: str
    record: tuple[int, ...]
    broken: str | None

    def __str__(self) -> str:
        return self.label

    def open(self) -> Picture:
        """Return the pixels, with the channels that the cache was made for; raise ImageError if there are none."""
        if self.broken is not None:
            raise ImageError(self.broken)
        offset, height, width, channels, kind = self.record
        dtype = list(KINDS.values())[kind]
        row = self.blob.bytes[offset : offset + height * width * channels * dtype.itemsize]
        pixels: NDArray[Any] = np.array(row).view(dtype).reshape(height, width, channels)
        if dtype != np.uint8:
            pixels = pixels.astype(np.float32)
            if not (pixels.min() >= 0 and pixels.max() <= 1):  # nor if one is not a number
                raise ImageError(f"{self}: holds values outside 0 to 1; make the cache anew")
        return Picture(pixels, None, channels == 1)

    def size(self) -> tuple[int, int] | None:
        """Return (width, height) as stored."""
        return None if self.broken is not None else (self.record[2], self.record[1])


@dataclass(frozen=True)
class CacheItems(Sequence[Item]):
    """The pictures of one world and split, made when they are asked for: a row of `records` (N, 5) each."""

    blob: Blob
    prefix: str
    names: list[str]
    records: NDArray[np.int64]
    broken: dict[int, str]

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        """Return one item, or some."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        name = self.names[number]
        record = tuple(int(value) for value in self.records[number])
        return CacheItem(self.blob, self.prefix + name, name, record, self.broken.get(number))


def is_cache(data: DataConfig) -> bool:
    """Whether `data.root` is one."""
    return data.root is not None and (Path(data.root) / CARD).is_file()


def open_cache(data: DataConfig) -> Found | None:
    """Open the cache at `data.root`; None if there is none.

    Raises ConfigError if it is damaged, was made for other settings, or of files that have changed since.
    """
    if not is_cache(data):
        return None
    folder = Path(str(data.root))
    card = read_card(folder)
    try:
        check_settings(folder, card, data)
        check_files(folder, card)
        blob = Blob(folder / PIXELS)
        train, test = (_read_split(blob, card["splits"][name]) for name in ("train", "test"))
        worlds = (str(card["worlds"][0]), str(card["worlds"][1]))
        return Found(train, test if test.a or test.b else None, worlds=worlds)
    except ConfigError:
        raise
    except (KeyError, TypeError, IndexError, AttributeError, ValueError, OverflowError) as error:
        raise ConfigError(f"{folder}: {CARD} is damaged ({error!r}); make the cache anew") from None


def _read_split(blob: Blob, said: Mapping[str, Any]) -> Split:
    a, b = (_read_world(blob, said[world], world if not said["paired"] else "") for world in "ab")
    if said["paired"] and len(a) != len(b):
        raise ConfigError(f"{blob.path.parent}: {CARD} is damaged (pairs of different number); make the cache anew")
    return Split(a, b, bool(said["paired"]))


def _read_world(blob: Blob, said: Mapping[str, Any], world: str) -> CacheItems:
    """Check every number, so that no picture reaches beyond the file."""
    records = np.array([said[field] for field in FIELDS], np.int64).reshape(len(FIELDS), -1).T
    names, broken = [str(name) for name in said["names"]], {int(key): str(why) for key, why in said["broken"].items()}
    offset, height, width, channels, kind = records.T
    sizes = np.array([dtype.itemsize for dtype in KINDS.values()])
    sound = len(names) == len(records) and bool(
        ((offset >= 0) & (offset <= len(blob.bytes))).all()
        and ((height > 0) & (height <= SIDE) & (width > 0) & (width <= SIDE)).all()
        and ((channels > 0) & (channels <= DEPTH) & (kind >= 0) & (kind < len(sizes))).all()
        and (offset + height * width * channels * sizes[kind] <= len(blob.bytes)).all()
    )
    if not sound:
        raise ConfigError(f"{blob.path.parent}: {CARD} and {PIXELS} do not fit; make the cache anew")
    prefix = f"{blob.path.parent}: {world and world.upper() + '/'}"
    return CacheItems(blob, prefix, names, records, broken)
