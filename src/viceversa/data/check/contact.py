"""A contact sheet: 5 x 5 pictures of each world, evenly spread, labelled, fit for a paper."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from viceversa.config import DataConfig
from viceversa.data.datasets import Sample
from viceversa.data.grid import INK, PAPER
from viceversa.data.image_data import ImageError, Pixels, resize, with_channels
from viceversa.data.layouts import find_splits

ROWS = COLUMNS = 5
CELL, GAP, APART, HEADER = 160, 4, 28, 44  # pixels


def contact_sheet(data: DataConfig) -> Image.Image:
    """Draw training pictures of both worlds, side by side; of pairs, partners stand in the same places.

    Pictures keep their shape. Those that cannot be read leave their place empty.
    """
    source = find_splits(data)
    block = COLUMNS * (CELL + GAP) - GAP
    sheet = Image.new("RGB", (2 * block + APART + 2 * GAP, HEADER + ROWS * (CELL + GAP)), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=20)
    sides = (("A", source.train.a, data.channels_a), ("B", source.train.b, data.channels_b))
    for number, (world, items, channels) in enumerate(sides):
        left = GAP + number * (block + APART)
        kind = "pairs" if source.train.paired else "pictures"
        draw.text((left + block / 2, HEADER / 2), f"{world}: {len(items):,} {kind}", INK, font, anchor="mm")
        chosen = [items[i] for i in spread(len(items), ROWS * COLUMNS)]
        for place, item in enumerate(chosen):
            tile = _tile(item, channels)
            if tile is not None:
                row, column = divmod(place, COLUMNS)
                x, y = left + column * (CELL + GAP), HEADER + row * (CELL + GAP)
                sheet.paste(tile, (x + (CELL - tile.width) // 2, y + (CELL - tile.height) // 2))
    return sheet


def spread(length: int, wanted: int) -> list[int]:
    """Return `wanted` places spread evenly over `length`, the middles of equal parts; all if there are not as many."""
    if length <= wanted:
        return list(range(length))
    return [(2 * i + 1) * length // (2 * wanted) for i in range(wanted)]


def _tile(item: Sample, channels: int) -> Image.Image | None:
    try:
        pixels = with_channels(item.open(), channels)
    except ImageError:
        return None
    height, width = pixels.shape[:2]
    scale = CELL / max(height, width)
    small = _bytes(resize(pixels, (max(1, round(height * scale)), max(1, round(width * scale)))))
    if small.shape[2] == 4:  # on white, as paper is
        return _on_paper(Image.fromarray(small))
    return Image.fromarray(small[:, :, 0] if small.shape[2] < 3 else np.ascontiguousarray(small[:, :, :3]))


def _bytes(pixels: Pixels) -> NDArray[np.uint8]:
    return pixels if pixels.dtype == np.uint8 else np.rint(pixels * 255).astype(np.uint8)


def _on_paper(image: Image.Image) -> Image.Image:
    paper = Image.new("RGBA", image.size, (*PAPER, 255))
    return Image.alpha_composite(paper, image).convert("RGB")
