"""A tensor cache: images decoded and resized once, in one memory-mapped file.

`cache.json`, the card, says what the images are called, where in `pixels.bin` each begins, how they were prepared, and
of which files; `pixels.bin` is a row of bytes. Nothing in it can run code, and what does not add up is refused.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from viceversa.config import ConfigError, DataConfig
from viceversa.data.datasets import Found, Split, completed
from viceversa.data.image_data import ImageData, ImageError, Pixels
from viceversa.data.transforms import fitted, prepared, read_each
from viceversa.files import Track, replacing_folder
from viceversa.paths import list_files

CARD, PIXELS, FORMAT = "cache.json", "pixels.bin", "viceversa cache 2"
EVERY = ("channels_a", "channels_b", "scale", "test_fraction", "paired_test", "pair_pattern")  # any cache's keys
SIZED = ("resize", "load", "crop")  # and those that one of resized images depends on as well
KINDS = ("uint8", "float16", "float32")

Depth: TypeAlias = Literal["exact", "float16", "uint8"]
Record: TypeAlias = tuple[int, int, int, int, str]  # where it begins, height, width, channels, kind


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
        if kind != "uint8":
            pixels = pixels.astype(np.float32)
            if not (pixels.min() >= 0 and pixels.max() <= 1):  # nor if one is not a number
                raise ImageError(f"{self}: holds values outside 0 to 1; make the cache anew")
        return ImageData(pixels.reshape(height, width, channels), None, channels == 1)


@lru_cache(maxsize=4)
def _mapped(path: Path) -> NDArray[np.uint8]:
    return np.memmap(path, np.uint8, "r")


def open_cache(data: DataConfig) -> Found:
    """Open the cache at `data.root`.

    Raises ConfigError if it is damaged, was made for other settings, or of files that have changed since.
    """
    folder = Path(str(data.root))
    _mapped.cache_clear()  # another may lie there now
    try:
        card = json.loads((folder / CARD).read_text("utf-8"))
    except (ValueError, RecursionError):
        card = None
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise ConfigError(f"{folder}: {CARD} is not that of a cache of this version; make the cache anew")
    try:
        _check_settings(folder, card, data)
        _check_files(folder, card)
        train, test = (_read_split(folder, card["splits"][name]) for name in ("train", "test"))
        domains = (str(card["domains"][0]), str(card["domains"][1]))
        return Found(train, test if test.a or test.b else None, domains=domains)
    except ConfigError:
        raise
    except (KeyError, TypeError, IndexError, AttributeError, ValueError, OverflowError, OSError) as error:
        raise ConfigError(f"{folder}: {CARD} is damaged ({error!r}); make the cache anew") from None


def _read_split(folder: Path, said: Mapping[str, Any]) -> Split:
    """Read what the card says of a split; check every number, so that no image reaches beyond the file."""
    size, paired = (folder / PIXELS).stat().st_size, bool(said["paired"])
    sides: dict[str, list[CacheSample]] = {"a": [], "b": []}
    for domain, samples in sides.items():
        prefix = "" if paired else f"{domain.upper()}/"
        for name, record in zip(said[domain]["names"], said[domain]["records"], strict=True):
            if not isinstance(record, str):
                offset, height, width, channels, kind = record
                sound = kind in KINDS and all(type(n) is int and n >= 0 for n in record[:4])
                length = height * width * channels * np.dtype(kind).itemsize if sound else 0
                if not length or offset + length > size:
                    raise ConfigError(f"{folder}: {CARD} and {PIXELS} do not fit; make the cache anew")
                record = (offset, height, width, channels, kind)
            samples.append(CacheSample(folder, prefix, str(name), record))
    if paired and len(sides["a"]) != len(sides["b"]):
        raise ConfigError(f"{folder}: {CARD} is damaged (pairs of different number); make the cache anew")
    return Split(sides["a"], sides["b"], paired)


def _check_settings(folder: Path, card: Mapping[str, Any], data: DataConfig) -> None:
    """Raise ConfigError if the training wants other images than the cache holds."""
    made = card["settings"]
    for key in EVERY if made["resize"] == "none" else (*SIZED, *EVERY):
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
    """Raise ConfigError if the files that it was made of have changed, where they still are, not if only touched."""
    root, then = Path(card["root"]), {name: list(seen) for name, seen in card["files"].items()}
    if not root.is_dir():
        return
    now = _stats(root)
    touched = sorted(name for name in now.keys() & then.keys() if now[name] != then[name][:2])
    changed = {
        "new": sorted(now.keys() - then.keys()),
        "gone": sorted(then.keys() - now.keys()),
        "changed": [name for name in touched if _digest(root / name) != then[name][2]],
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


def _stats(folder: Path) -> dict[str, list[int]]:
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
    broken: list[str]


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
        files = {name: [*seen, _digest(root / name)] for name, seen in _stats(root).items()}
        with (folder / PIXELS).open("wb") as file:
            train = _store(splits.train, file, dtype, data, fitted, track)
            test = _store(splits.test, file, dtype, data, prepared, track)
            size = file.tell()
        card = {"format": FORMAT, "root": str(root), "settings": _settings(data), "domains": found.domains}
        said = {**card, "splits": {"train": train, "test": test}, "files": files}
        (folder / CARD).write_text(json.dumps(said), "utf-8")
    records = [record for split in (train, test) for domain in "ab" for record in split[domain]["records"]]
    return CacheReport(splits.note, size, [record for record in records if isinstance(record, str)])


def _store(
    split: Split, file: BinaryIO, dtype: Depth, data: DataConfig, sized: Callable[..., list[Pixels]], track: Track
) -> dict[str, Any]:
    """Store the images of a split, and return what the card says of them."""
    said: dict[str, Any] = {domain: {"names": [], "records": []} for domain in "ab"}
    units = [*split.units()]
    for domains, samples in track(units, len(units)):
        read = read_each(samples, domains, data)
        sound = [image for image in read if not isinstance(image, ImageError)]
        stored = iter(sized(sound, data) if sound and data.resize != "none" else sound)
        for domain, sample, image in zip(domains.lower(), samples, read, strict=True):
            record = str(image) if isinstance(image, ImageError) else _append(file, next(stored), dtype)
            said[domain]["names"].append(sample.name)
            said[domain]["records"].append(record)
    return {**said, "paired": split.paired}


def _append(file: BinaryIO, pixels: Pixels, dtype: Depth) -> Record:
    """Append (H, W, C) to the file of pixels, and return its record."""
    if pixels.dtype != np.uint8 and dtype != "exact":
        pixels = np.rint(pixels * 255).astype(np.uint8) if dtype == "uint8" else pixels.astype(np.float16)
    height, width, channels = pixels.shape
    record = (file.tell(), height, width, channels, str(pixels.dtype))
    file.write(np.ascontiguousarray(pixels).tobytes())
    return record
