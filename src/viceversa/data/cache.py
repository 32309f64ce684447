"""A tensor cache: pictures decoded and resized once, in one memory-mapped file. `prepare/caching.py` writes it.

`cache.json` says what the pictures are called, where in `pixels.npy` each begins, how they were prepared, and of which
files; `pixels.npy` is one row of bytes. Nothing in it can run code, and what does not add up is refused.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from viceversa.config import ConfigError, DataConfig
from viceversa.data.datasets import Found, Sample, Split, completed, open_each
from viceversa.data.image_data import ImageData, ImageError, Pixels, with_channels
from viceversa.data.transforms import fitted, prepared
from viceversa.files import replacing_folder
from viceversa.paths import list_files

CARD, FORMAT = "cache.json", "viceversa cache 1"
EVERY = ("channels_a", "channels_b", "test_fraction", "paired_test")  # keys that any cache depends on
SIZED = ("resize", "load", "crop")  # and those that one of resized pictures depends on as well


def read_card(folder: Path) -> dict[str, Any]:
    """Return what `cache.json` says; raise ConfigError if it is none of ours."""
    try:
        card = json.loads((folder / CARD).read_text("utf-8"))
    except (ValueError, RecursionError):
        card = None
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise ConfigError(f"{folder}: {CARD} is not that of a cache of this version; make the cache anew")
    return card


def renewal(folder: Path, card: Mapping[str, Any], data: DataConfig | None = None) -> str:
    """Return the command that makes the cache again, as `data` wants it."""
    settings = card["settings"] if data is None else {**settings_of(data), "layout": card["settings"]["layout"]}
    words = [f"data.{key}={_spelled(value)}" for key, value in settings.items() if value != getattr(DataConfig(), key)]
    return shlex.join(["viceversa", "data", "cache", str(card["root"]), str(folder), *words, "--overwrite"])


def fingerprint(folder: Path) -> dict[str, list[int]]:
    """Return size and time of the last change (ns) of every picture and manifest below a folder."""
    manifests = [path.name for path in folder.glob("manifest.*")]
    found = {name: (folder / name).stat() for name in [*list_files(folder), *manifests]}
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in found.items()}


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def settings_of(data: DataConfig) -> dict[str, Any]:
    """Return the keys that a cache depends on."""
    return {key: getattr(data, key) for key in ("layout", *SIZED, *EVERY)}


def check_settings(folder: Path, card: Mapping[str, Any], data: DataConfig) -> None:
    """Raise ConfigError if the training wants other pictures than the cache holds."""
    made = card["settings"]
    keys = EVERY if made["resize"] == "none" else (*SIZED, *EVERY)
    for key in keys:
        if made[key] != getattr(data, key):
            raise ConfigError(
                f"{folder}: made for data.{key}={_spelled(made[key])}, and the training wants "
                f"{_spelled(getattr(data, key))}; renew it: {renewal(folder, card, data)}"
            )
    if made["resize"] != "none" and not data.decay_crop:
        raise ConfigError(
            f"{folder}: holds pictures of one size, and data.decay_crop=false needs two; "
            "make the cache with data.resize=none, so that they keep their own"
        )


def check_files(folder: Path, card: Mapping[str, Any]) -> None:
    """Raise ConfigError if the files that it was made of have changed, where they still are.

    One that was touched, but holds what it held, has not changed.
    """
    root = Path(card["root"])
    if not root.is_dir():
        return
    now, then = fingerprint(root), {name: list(seen) for name, seen in card["files"].items()}
    changed = {
        "new": sorted(now.keys() - then.keys()),
        "gone": sorted(then.keys() - now.keys()),
        "changed": [
            name
            for name in now.keys() & then.keys()
            if now[name] != then[name][:2] and (now[name][0] != then[name][0] or digest(root / name) != then[name][2])
        ],
    }
    if any(changed.values()):
        counts = ", ".join(f"{len(names)} {what} ({names[0]})" for what, names in changed.items() if names)
        raise ConfigError(f"{folder}: the pictures in {root} are no longer those: {counts}; {renewal(folder, card)}")


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
class CacheSample:
    """A picture of the cache: where its pixels lie, or why it could not be read when the cache was made."""

    blob: Blob
    label: str
    name: str
    record: tuple[int, ...]
    broken: str | None

    def __str__(self) -> str:
        return self.label

    def open(self) -> ImageData:
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
        return ImageData(pixels, None, channels == 1)

    def size(self) -> tuple[int, int] | None:
        """Return (width, height) as stored."""
        return None if self.broken is not None else (self.record[2], self.record[1])


@dataclass(frozen=True)
class CacheSamples(Sequence[Sample]):
    """The pictures of one world and split, made when they are asked for: a row of `records` (N, 5) each."""

    blob: Blob
    prefix: str
    names: list[str]
    records: NDArray[np.int64]
    broken: dict[int, str]

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        """Return one item, or some."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        name = self.names[number]
        record = tuple(int(value) for value in self.records[number])
        return CacheSample(self.blob, self.prefix + name, name, record, self.broken.get(number))


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


def _read_world(blob: Blob, said: Mapping[str, Any], world: str) -> CacheSamples:
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
    return CacheSamples(blob, prefix, names, records, broken)


Depth: TypeAlias = Literal["exact", "float16", "uint8"]
Group: TypeAlias = tuple[Sample, ...]  # a pair, or one item
Track: TypeAlias = Callable[[Sequence[Group], int], Iterable[Group]]
ALIGNMENT = 64  # bytes: where floats may begin


@dataclass(frozen=True)
class Made:
    """What a cache holds, its size in bytes, and which pictures are broken and why."""

    note: str
    bytes: int
    broken: dict[str, str]


def make_cache(
    data: DataConfig,
    out: Path,
    *,
    dtype: Depth = "exact",
    overwrite: bool = False,
    track: Track = lambda groups, total: groups,
) -> Made:
    """Write the pictures of `data.root` into a cache, whole or not at all.

    Training pictures are stored as they are before anything is left to chance: with their channels, and resized unless
    `data.resize` is none; test pictures as the sample grids show them. Broken ones stay in the list as such, so that
    the order of training is that without a cache. `dtype` "exact" keeps 8 bits as uint8 and more as float32, "float16"
    halves the latter, "uint8" quarters it. Raises as `find_splits` does, ConfigError for a source that is a cache,
    FileExistsError for an `out` that is in the way.
    """
    if data.root is None:
        raise ConfigError("a cache is made of one data set: data.root=FOLDER (viceversa data pair joins two folders)")
    root, target = Path(data.root).expanduser().resolve(), out.resolve()
    if root.is_relative_to(target) or target.is_relative_to(root):
        raise FileExistsError(f"{out}: lies within {root}, or holds it; choose a folder elsewhere")
    from viceversa.data.layouts import find  # which opens caches

    layout, found = find(data)
    if layout == "cache":
        raise ConfigError(f"{root}: is a cache already; make another of the pictures that it was made of")
    source = completed(layout, found, data)
    with replacing_folder(out, overwrite=overwrite) as folder:
        files = {name: [*seen, digest(root / name)] for name, seen in fingerprint(root).items()}
        with _Pixels(folder / PIXELS, dtype) as pixels:
            whole = data.resize == "none"
            said = {
                "train": _store(source.train, pixels, data, whole, fitted, track),
                "test": _store(source.test, pixels, data, whole, prepared, track),
            }
        card = {
            "format": FORMAT,
            "root": str(root),
            "settings": settings_of(data),
            "worlds": found.worlds,
            "splits": said,
            "files": files,
        }
        (folder / CARD).write_text(json.dumps(card), "utf-8")
    return Made(source.note, pixels.length, pixels.broken)


@dataclass
class _Pixels:
    """The file of pixels while it is written, picture by picture; a .npy whose length is known in the end."""

    path: Path
    dtype: Depth
    length: int = 0
    broken: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> _Pixels:
        self.file: BinaryIO = self.path.open("wb")
        self._head()
        return self

    def __exit__(self, *_: object) -> None:
        self.add(np.zeros((1, 1, 1), np.uint8))  # what broken pictures point to
        self.file.seek(0)
        self._head()
        self.file.close()

    def _head(self) -> None:
        # numpy leaves room in the header for a length that grows.
        head = {"descr": "|u1", "fortran_order": False, "shape": (self.length,)}
        np.lib.format.write_array_header_1_0(self.file, head)

    def add(self, pixels: Pixels) -> list[int]:
        """Append (H, W, C); return its record: where it begins, its shape and kind, as FIELDS says."""
        if pixels.dtype != np.uint8 and self.dtype != "exact":
            pixels = np.rint(pixels * 255).astype(np.uint8) if self.dtype == "uint8" else pixels.astype("<f2")
        content = np.ascontiguousarray(pixels).tobytes()
        record = [self.length, *pixels.shape, list(KINDS.values()).index(pixels.dtype)]
        padding = -len(content) % ALIGNMENT
        self.file.write(content + bytes(padding))
        self.length += len(content) + padding
        return record


def _store(
    split: Split,
    pixels: _Pixels,
    data: DataConfig,
    whole: bool,
    sized: Callable[[list[Pixels], DataConfig], list[Pixels]],
    track: Track,
) -> dict[str, Any]:
    """Store the pictures of a split, and return what the card says of them."""
    said: dict[str, Any] = {"paired": split.paired}
    rows: dict[str, list[list[int]]] = {"a": [], "b": []}
    said |= {world: {"names": [], "broken": {}} for world in rows}
    groups: list[tuple[str, list[Group]]] = (
        [("ab", list(zip(split.a, split.b, strict=True)))]
        if split.paired
        else [(world, [(item,) for item in items]) for world, items in (("a", split.a), ("b", split.b))]
    )
    channels = {"a": data.channels_a, "b": data.channels_b}
    for worlds, members in groups:
        for items in track(members, len(members)):
            opened = dict(zip(worlds, open_each(items), strict=True))
            sound = {
                world: with_channels(picture, channels[world])
                for world, picture in opened.items()
                if not isinstance(picture, ImageError)
            }
            images = list(sound.values())
            stored = dict(zip(sound, sized(images, data) if images and not whole else images, strict=True))
            for world, item in zip(worlds, items, strict=True):
                said[world]["names"].append(item.name)
                if world in stored:
                    rows[world].append(pixels.add(stored[world]))
                else:
                    said[world]["broken"][len(rows[world])] = pixels.broken[str(item)] = str(opened[world])
                    rows[world].append([0, 1, 1, 1, 0])
    for world, records in rows.items():
        said[world] |= {name: [record[i] for record in records] for i, name in enumerate(FIELDS)}
    return said
