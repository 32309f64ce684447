"""A contact sheet: 5 x 5 images of each domain, evenly spread, labelled, fit for a paper."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from viceversa.config import DataConfig
from viceversa.data.datasets import Sample
from viceversa.data.grid import INK, PAPER
from viceversa.data.image_data import ImageError, eight_bits, resize, with_channels
from viceversa.data.layouts import find_splits
from viceversa.files import replacing

ROWS = COLUMNS = 5
CELL, GAP, APART, HEADER = 160, 4, 28, 44  # pixels


def write_contact_sheet(data: DataConfig, path: Path) -> None:
    """Write training images of both domains, side by side, as PNG; partners of pairs are in the same places.

    Images keep their shape. The place of one that cannot be read stays empty.
    """
    train = find_splits(data).train
    block = COLUMNS * (CELL + GAP) - GAP
    sheet = Image.new("RGB", (2 * block + APART + 2 * GAP, HEADER + ROWS * (CELL + GAP)), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=20)
    sides = (("A", train.a, data.channels_a, GAP), ("B", train.b, data.channels_b, GAP + block + APART))
    for domain, samples, channels, left in sides:
        label = f"{domain}: {len(samples):,} {'pairs' if train.paired else 'images'}"
        draw.text((left + block / 2, HEADER / 2), label, INK, font, anchor="mm")
        for place, i in enumerate(spread(len(samples), ROWS * COLUMNS)):
            if tile := _tile(samples[i], channels):
                row, column = divmod(place, COLUMNS)
                x, y = left + column * (CELL + GAP), HEADER + row * (CELL + GAP)
                sheet.paste(tile, (x + (CELL - tile.width) // 2, y + (CELL - tile.height) // 2))
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG")


def spread(length: int, wanted: int) -> list[int]:
    """Return `wanted` places spread evenly over `length`, the middles of equal parts; all if there are not as many."""
    if length <= wanted:
        return list(range(length))
    return [(2 * i + 1) * length // (2 * wanted) for i in range(wanted)]


def _tile(sample: Sample, channels: int) -> Image.Image | None:
    """Return an image that fits a cell, transparency laid on white; None if it cannot be read."""
    try:
        pixels = with_channels(sample.open(), 3 if channels == 4 else channels)
    except ImageError:
        return None
    pixels = pixels if pixels.shape[2] in (1, 3) else pixels[:, :, : 1 if pixels.shape[2] == 2 else 3]
    scale = CELL / max(pixels.shape[:2])
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    small = eight_bits(resize(pixels, (height, width)))
    return Image.fromarray(small[:, :, 0] if small.shape[2] == 1 else small)
