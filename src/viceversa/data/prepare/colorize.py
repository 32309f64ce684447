"""`viceversa data colorize`: a palette for label maps of class indices, so that a network can tell the classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from viceversa.data.image_data import ImageError
from viceversa.data.image_io import READABLE
from viceversa.files import Track, replacing_folder
from viceversa.paths import list_images


def colorize(source: Path, out: Path, *, overwrite: bool = False, track: Track = lambda files, total: files) -> int:
    """Write the label maps of a folder and its subfolders as PNG with a palette, and return how many they are.

    Pixels stay the class indices that they are, 0 to 255. The colours are the same in every call: 0 is black, 255, by
    which many data sets mark what counts for nothing, white. `out` appears when all is done. Raises ImageError for what
    holds no class indices, FileNotFoundError if there are no images, FileExistsError if `out` holds anything.
    """
    files = list_images(source)
    if not files:
        raise FileNotFoundError(f"{source}: no images in it" if source.is_dir() else f"{source}: no such folder")
    with replacing_folder(out, overwrite=overwrite) as folder:
        for file in track(files, len(files)):
            image = Image.fromarray(indices_of(file))
            image.putpalette(palette())
            target = folder / file.relative_to(source).with_suffix(".png")
            if target.exists():
                raise ValueError(f"{file}: another image is called {target.name} already; rename one of the two")
            target.parent.mkdir(parents=True, exist_ok=True)
            image.save(target)
    return len(files)


def indices_of(path: Path) -> NDArray[np.uint8]:
    """Read a label map (H, W): one channel, or three that are equal, of numbers from 0 to 255."""
    try:
        with path.open("rb") as file, Image.open(file, formats=READABLE) as image:  # a path may be mapped wrongly
            values = np.asarray(image)
    except Exception as error:  # on damaged files Pillow raises nearly anything
        raise ImageError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None
    if values.ndim == 3 and (values[:, :, :1] == values[:, :, :3]).all():
        values = values[:, :, 0]
    if values.ndim != 2 or values.dtype.kind not in "bui" or values.min() < 0 or values.max() > 255:
        raise ImageError(f"{path}: no class indices: one channel of whole numbers from 0 to 255 is expected")
    return values.astype(np.uint8)


def palette() -> list[int]:
    """Return 256 colours, RGB one after the other: each is as far as can be from black, white and those before it."""
    levels = np.linspace(0, 255, 7).round().astype(int)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    colours = [grid[0]]  # black
    free = np.minimum(((grid - 0) ** 2).sum(1), ((grid - 255) ** 2).sum(1))
    while len(colours) < 255:
        colours.append(grid[free.argmax()])
        free = np.minimum(free, ((grid - colours[-1]) ** 2).sum(1))
    return [int(value) for colour in [*colours, grid[-1]] for value in colour]
