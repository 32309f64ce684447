"""A tensor cache: images decoded and resized once, in one memory-mapped file.

`cache.json`, the card, says what the images are called, where in `pixels.npy` each begins, how they were prepared, and
of which files; `pixels.npy` is one row of bytes. Nothing in it can run code, and what does not add up is refused.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from viceversa.config import ConfigError, DataConfig
from viceversa.data.datasets import Found, Sample, Split, completed
from viceversa.data.image_data import ImageData, ImageError, Pixels
from viceversa.data.transforms import fitted, prepared, read_each
from viceversa.files import replacing_folder
from viceversa.paths import list_files

CARD, PIXELS, FORMAT = "cache.json", "pixels.npy", "viceversa cache 2"
EVERY = ("channels_a", "channels_b", "scale", "test_fraction", "paired_test", "pair_pattern")  # any cache's keys
SIZED = ("resize", "load", "crop")  # and those that one of resized images depends on as well
KINDS: tuple[np.dtype[Any], ...] = (np.dtype("u1"), np.dtype("<f2"), np.dtype("<f4"))
LIMITS = (2**62, 2**17, 2**17, 2**10, len(KINDS) - 1)  # of a record: offset, height, width, channels, number of a kind
ALIGNMENT = 64  # bytes: where floats may begin

Depth: TypeAlias = Literal["exact", "float16", "uint8"]
Group: TypeAlias = tuple[Sample, ...]  # a pair, or one sample
Track: TypeAlias = Callable[[Sequence[Group], int], Iterable[Group]]
Record: TypeAlias = tuple[int, int, int, int, int]


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
    """An image of the cache: where its pixels lie, or why it could not be read when the cache was made."""

    blob: Blob
    domain: str
    name: str
    record: Record
    broken: str | None

    def __str__(self) -> str:
        return f"{self.blob.path.parent}: {self.domain}{self.name}"

    def open(self) -> ImageData:
        """Return the pixels, with the channels that the cache was made for; raise ImageError if there are none."""
        if self.broken is not None:
            raise ImageError(self.broken)
        offset, height, width, channels, kind = self.record
        dtype = KINDS[kind]
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


def open_cache(data: DataConfig) -> Found:
    """Open the cache at `data.root`.

    Raises ConfigError if it is damaged, was made for other settings, or of files that have changed since.
    """
    folder = Path(str(data.root))
    card = _read_card(folder)
    try:
        _check_settings(folder, card, data)
        _check_files(folder, card)
        blob = Blob(folder / PIXELS)
        train, test = (_read_split(blob, card["splits"][name]) for name in ("train", "test"))
        domains = (str(card["domains"][0]), str(card["domains"][1]))
        return Found(train, test if test.a or test.b else None, domains=domains)
    except ConfigError:
        raise
    except (KeyError, TypeError, IndexError, AttributeError, ValueError, OverflowError) as error:
        raise ConfigError(f"{folder}: {CARD} is damaged ({error!r}); make the cache anew") from None


def _read_card(folder: Path) -> dict[str, Any]:
    try:
        card = json.loads((folder / CARD).read_text("utf-8"))
    except (ValueError, RecursionError):
        card = None
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise ConfigError(f"{folder}: {CARD} is not that of a cache of this version; make the cache anew")
    return card


def _read_split(blob: Blob, said: Mapping[str, Any]) -> Split:
    paired = bool(said["paired"])
    a, b = (_read_domain(blob, said[domain], "" if paired else f"{domain.upper()}/") for domain in "ab")
    if paired and len(a) != len(b):
        raise ConfigError(f"{blob.path.parent}: {CARD} is damaged (pairs of different number); make the cache anew")
    return Split(a, b, paired)


def _read_domain(blob: Blob, said: Mapping[str, Any], domain: str) -> tuple[CacheSample, ...]:
    """Check every number, so that no image reaches beyond the file."""
    size = len(blob.bytes)
    samples = []
    for number, (name, record) in enumerate(zip(said["names"], said["records"], strict=True)):
        sound = all(type(n) is int and 0 <= n <= limit for n, limit in zip(record, LIMITS, strict=True))
        offset, height, width, channels, kind = record
        if not sound or not height * width * channels or offset + _bytes(record) > size:
            raise ConfigError(f"{blob.path.parent}: {CARD} and {PIXELS} do not fit; make the cache anew")
        broken = said["broken"].get(str(number))
        record = (offset, height, width, channels, kind)
        samples.append(CacheSample(blob, domain, str(name), record, None if broken is None else str(broken)))
    return tuple(samples)


def _bytes(record: Sequence[int]) -> int:
    _, height, width, channels, kind = record
    return height * width * channels * KINDS[kind].itemsize


def _check_settings(folder: Path, card: Mapping[str, Any], data: DataConfig) -> None:
    """Raise ConfigError if the training wants other images than the cache holds."""
    made = card["settings"]
    keys = EVERY if made["resize"] == "none" else (*SIZED, *EVERY)
    for key in keys:
        if made[key] != getattr(data, key):
            raise ConfigError(
                f"{folder}: made for data.{key}={_spelled(made[key])}, and the training wants "
                f"{_spelled(getattr(data, key))}; renew it: {_renewal(folder, card, data)}"
            )
    if made["resize"] != "none" and not data.decay_crop:
        raise ConfigError(
            f"{folder}: holds pictures of one size, and data.decay_crop=false needs two; "
            "make the cache with data.resize=none, so that they keep their own"
        )


def _check_files(folder: Path, card: Mapping[str, Any]) -> None:
    """Raise ConfigError if the files that it was made of have changed, where they still are.

    One that was touched, but holds what it held, has not changed.
    """
    root = Path(card["root"])
    if not root.is_dir():
        return
    now, then = _fingerprint(root), {name: list(seen) for name, seen in card["files"].items()}
    changed = {
        "new": sorted(now.keys() - then.keys()),
        "gone": sorted(then.keys() - now.keys()),
        "changed": [
            name
            for name in now.keys() & then.keys()
            if now[name] != then[name][:2] and (now[name][0] != then[name][0] or _digest(root / name) != then[name][2])
        ],
    }
    if any(changed.values()):
        counts = ", ".join(f"{len(names)} {what} ({names[0]})" for what, names in changed.items() if names)
        raise ConfigError(f"{folder}: the pictures in {root} are no longer those: {counts}; {_renewal(folder, card)}")


def _renewal(folder: Path, card: Mapping[str, Any], data: DataConfig | None = None) -> str:
    """Return the command that makes the cache again, as `data` wants it."""
    settings = card["settings"] if data is None else {**_settings(data), "layout": card["settings"]["layout"]}
    words = [f"data.{key}={_spelled(value)}" for key, value in settings.items() if value != getattr(DataConfig(), key)]
    return shlex.join(["viceversa", "data", "cache", str(card["root"]), str(folder), *words, "--overwrite"])


def _settings(data: DataConfig) -> dict[str, Any]:
    return {key: getattr(data, key) for key in ("layout", *SIZED, *EVERY)}


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fingerprint(folder: Path) -> dict[str, list[int]]:
    """Return size and time of the last change (ns) of every image and manifest below a folder."""
    manifests = [path.name for path in folder.glob("manifest.*")]
    found = {name: (folder / name).stat() for name in [*list_files(folder), *manifests]}
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in found.items()}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass(frozen=True)
class CacheReport:
    """What a new cache holds, its size in bytes, and which images are broken and why."""

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
) -> CacheReport:
    """Write the images of `data.root` into a cache, whole or not at all.

    Training images are stored as they are before anything is left to chance: with their channels, and resized unless
    `data.resize` is none; test images as the sample grids show them. Broken ones stay in the list as such, so that the
    order of training is that without a cache. `dtype` "exact" keeps 8 bits as uint8 and more as float32, "float16"
    halves the latter, "uint8" quarters it. Raises as `find_splits` does, ConfigError for a source that is a cache,
    FileExistsError for an `out` that is in the way.
    """
    from viceversa.data.layouts import find  # which opens caches

    if data.root is None:
        raise ConfigError("a cache is made of one data set: data.root=FOLDER (viceversa data pair joins two folders)")
    root, target = Path(data.root).expanduser().resolve(), out.resolve()
    if root.is_relative_to(target) or target.is_relative_to(root):
        raise FileExistsError(f"{out}: lies within {root}, or holds it; choose a folder elsewhere")
    layout, found = find(data)
    if layout == "cache":
        raise ConfigError(f"{root}: is a cache already; make another of the pictures that it was made of")
    splits = completed(layout, found, data)
    with replacing_folder(out, overwrite=overwrite) as folder:
        files = {name: [*seen, _digest(root / name)] for name, seen in _fingerprint(root).items()}
        with PixelWriter(folder / PIXELS, dtype) as writer:
            said = {
                "train": _store(splits.train, writer, data, fitted, track),
                "test": _store(splits.test, writer, data, prepared, track),
            }
        card = {"format": FORMAT, "root": str(root), "settings": _settings(data), "domains": found.domains}
        (folder / CARD).write_text(json.dumps({**card, "splits": said, "files": files}), "utf-8")
    return CacheReport(splits.note, writer.length, writer.broken)


def _store(
    split: Split,
    writer: PixelWriter,
    data: DataConfig,
    sized: Callable[[list[Pixels], DataConfig], list[Pixels]],
    track: Track,
) -> dict[str, Any]:
    """Store the images of a split, and return what the card says of them."""
    said: dict[str, Any] = {domain: {"names": [], "records": [], "broken": {}} for domain in "ab"}
    groups: list[tuple[str, list[Group]]] = [("A", [(one,) for one in split.a]), ("B", [(one,) for one in split.b])]
    if split.paired:
        groups = [("AB", list(zip(split.a, split.b, strict=True)))]
    for domains, members in groups:
        for samples in track(members, len(members)):
            read = read_each(samples, domains, data)
            sound = [image for image in read if not isinstance(image, ImageError)]
            stored = iter(sized(sound, data) if sound and data.resize != "none" else sound)
            for domain, sample, image in zip(domains.lower(), samples, read, strict=True):
                own = said[domain]
                own["names"].append(sample.name)
                if isinstance(image, ImageError):
                    own["broken"][len(own["records"])] = writer.broken[str(sample)] = str(image)
                    own["records"].append([0, 1, 1, 1, 0])
                else:
                    own["records"].append(writer.add(next(stored)))
    return {**said, "paired": split.paired}


@dataclass
class PixelWriter:
    """The file of pixels while it is written, image by image: a .npy whose length is known in the end."""

    path: Path
    dtype: Depth
    length: int = 0
    broken: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> PixelWriter:
        self.file: BinaryIO = self.path.open("wb")
        self._head()
        return self

    def __exit__(self, *_: object) -> None:
        self.add(np.zeros((1, 1, 1), np.uint8))  # what broken images point to
        self.file.seek(0)
        self._head()
        self.file.close()

    def _head(self) -> None:
        # numpy leaves room in the header for a length that grows.
        head = {"descr": "|u1", "fortran_order": False, "shape": (self.length,)}
        np.lib.format.write_array_header_1_0(self.file, head)

    def add(self, pixels: Pixels) -> list[int]:
        """Append (H, W, C); return its record: where it begins, its shape, and the number of its kind."""
        if pixels.dtype != np.uint8 and self.dtype != "exact":
            pixels = np.rint(pixels * 255).astype(np.uint8) if self.dtype == "uint8" else pixels.astype("<f2")
        content = np.ascontiguousarray(pixels).tobytes()
        record = [self.length, *pixels.shape, KINDS.index(pixels.dtype)]
        padding = -len(content) % ALIGNMENT
        self.file.write(content + bytes(padding))
        self.length += len(content) + padding
        return record
