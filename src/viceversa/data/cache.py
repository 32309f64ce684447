"""A cache: the images of a data set, decoded and resized once, in files that are read several times faster.

It is a data set like any other: arrays (RGBA as plain TIFF), and a manifest.csv that lists them.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
from PIL import Image

from viceversa.config import DataConfig
from viceversa.data.archives import safe_path
from viceversa.data.image_data import Pixels
from viceversa.data.layouts import find_splits
from viceversa.data.transforms import fitted, prepared, read_each
from viceversa.files import Track, replacing_folder

CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def make_cache(
    data: DataConfig, out: Path, *, overwrite: bool = False, track: Track = lambda groups, total: groups
) -> tuple[str, list[str]]:
    """Write the images of a data set into a cache, whole or not at all; say what it holds, and what is broken and why.

    Training images are stored resized, as they are before anything is left to chance; test images as the samples show
    them. Broken ones stay broken, so that the order of training stays the same. FileExistsError for an `out` in use.
    """
    root, target = Path(data.root or "").expanduser().resolve(), out.resolve()
    if root.is_relative_to(target) or target.is_relative_to(root):
        raise FileExistsError(f"{out}: lies within {root}, or holds it; choose a folder elsewhere")
    splits, broken = find_splits(data), dict[str, str]()
    units = [("train", *unit) for unit in splits.train.units()] + [("test", *unit) for unit in splits.test.units()]
    with replacing_folder(out, overwrite=overwrite) as folder:
        rows = []
        for split, domains, samples in track(units, len(units)):
            images, failed = read_each(samples, domains, data)
            sized = iter((fitted if split == "train" else prepared)(images, data) if images else ())
            row = {"split": split}
            for domain, sample in zip(domains, samples, strict=True):
                file = folder / f"{split}{domain}" / safe_path(CONTROL.sub("_", sample.name))
                row[domain.lower()] = _store(file, failed.get(str(sample)) or next(sized), folder)
            broken.update(failed)
            rows.append(row)
        with (folder / "manifest.csv").open("w", encoding="utf-8", errors="surrogateescape", newline="") as lines:
            table = csv.DictWriter(lines, ["a", "b", "split"])
            table.writeheader()
            table.writerows(rows)
    return splits.note, [*broken.values()]


def _store(path: Path, image: Pixels | str, folder: Path) -> str:
    """Write an image, or in its place why it is broken, to a path without suffix; return where that is in a folder."""
    rgba = not isinstance(image, str) and image.dtype == np.uint8 and image.shape[2] == 4
    suffix = ".tif" if rgba else ".npy"  # bytes of four channels in .npy are not RGBA
    while (file := path.with_name(path.name + suffix)).exists():  # a.png beside a.jpg
        path = path.with_name(f"{path.name}_")
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(image, str):
        file.write_text(image, "utf-8", errors="surrogateescape")
    elif rgba:
        Image.fromarray(image).save(file)
    else:
        np.save(file, image)
    return file.relative_to(folder).as_posix()
