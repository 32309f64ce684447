"""Making a tensor cache: every picture decoded and resized once. `data/cache.py` reads it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

import numpy as np

from viceversa.config import ConfigError, DataConfig
from viceversa.data.cache import FIELDS, KINDS, PIXELS
from viceversa.data.card import CARD, FORMAT, digest, fingerprint, settings_of
from viceversa.data.decode import ImageError, Pixels
from viceversa.data.images import with_channels
from viceversa.data.items import Item, open_each
from viceversa.data.layouts import find
from viceversa.data.sources import Split, completed
from viceversa.data.transforms import fitted, prepared
from viceversa.files import replacing_folder

Depth: TypeAlias = Literal["exact", "float16", "uint8"]
Group: TypeAlias = tuple[Item, ...]  # a pair, or one item
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
    halves the latter, "uint8" quarters it. Raises as `find_source` does, ConfigError for a source that is a cache,
    FileExistsError for an `out` that is in the way.
    """
    if data.root is None:
        raise ConfigError("a cache is made of one data set: data.root=FOLDER (viceversa data pair joins two folders)")
    root, target = Path(data.root).expanduser().resolve(), out.resolve()
    if root.is_relative_to(target) or target.is_relative_to(root):
        raise FileExistsError(f"{out}: lies within {root}, or holds it; choose a folder elsewhere")
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
