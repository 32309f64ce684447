"""Images side by side, labelled: a contact sheet to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

INK, PAPER = (40, 40, 40), (255, 255, 255)
Columns: TypeAlias = Mapping[str, Sequence[NDArray[np.uint8] | None]]


def grid(columns: Columns, *, gap: int = 4, side: int = 128) -> Image.Image:
    """Return an image with one labelled column for each entry, and one row for each of its images.

    Images are uint8 (H, W, C). Small ones are enlarged to `side`, by whole pixels; None leaves its place empty. A blank
    label (" ") of a column without images is a wider gap between groups.
    """
    sides = [max(pixels.shape[:2]) for column in columns.values() for pixels in column if pixels is not None]
    side = max([side, *sides])
    text = max(11, side // 11)
    header = int(text * 1.8) if any(columns) else 0
    widths = [side + gap if name.strip() else 4 * gap for name in columns]
    rows = max(len(column) for column in columns.values())
    canvas = Image.new("RGB", (sum(widths) + gap, header + rows * (side + gap) + gap), PAPER)
    draw, font, left = ImageDraw.Draw(canvas), ImageFont.load_default(text), gap
    for (name, column), width in zip(columns.items(), widths, strict=True):
        draw.text((left + side / 2, header / 2), name, INK, font, anchor="mm")
        for row, pixels in enumerate(column):
            if pixels is not None:
                tile = on_paper(viewable(pixels))  # enlarged without blurring, shrunk smoothly
                method = Image.Resampling.NEAREST if max(tile.size) <= side else Image.Resampling.LANCZOS
                tile = ImageOps.pad(tile, (side, side), method, PAPER)
                canvas.paste(tile, (left, header + gap + row * (side + gap)))
        left += width
    return canvas


def viewable(pixels: NDArray[np.uint8]) -> Image.Image:
    """Return (H, W, C) as an image that people can look at: of two channels the first, of more than four three."""
    channels = pixels.shape[2]
    if channels <= 2:
        return Image.fromarray(np.ascontiguousarray(pixels[:, :, 0]))
    return Image.fromarray(np.ascontiguousarray(pixels if channels <= 4 else pixels[:, :, :3]))


def on_paper(image: Image.Image) -> Image.Image:
    """Return an image of any mode in RGB; what is transparent is white."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, PAPER), image)
    return image.convert("RGB")
