"""Pictures side by side, labelled, fit for a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

INK, PAPER = (40, 40, 40), (255, 255, 255)
Columns: TypeAlias = Mapping[str, Sequence[np.ndarray | None]]
Corner: TypeAlias = tuple[int, int]


def grid(columns: Columns, *, gap: int = 4, cell: int | None = None) -> Image.Image:
    """Return an image with one labelled column for each entry, one row for each of its pictures.

    Pictures are uint8 (H, W, C); of more than four channels the first three are shown, of two the first. None leaves a
    place empty. `cell` is the side of a place in pixels, by default `side_of`. A label that is an empty string starts a
    new group after a wider gap.
    """
    side = cell or side_of(columns)
    font = ImageFont.load_default(size=max(11, side // 11))
    corners = places(columns, gap=gap, cell=side)
    rows = max(len(column) for column in columns.values())
    width = sum(side + gap if name.strip() else 4 * gap for name in columns) + gap
    canvas = Image.new("RGB", (width, _header(columns, side) + rows * (side + gap) + gap), PAPER)
    draw = ImageDraw.Draw(canvas)
    for name, column in columns.items():
        for row, (picture, (left, top)) in enumerate(zip(column, corners[name], strict=True)):
            if row == 0:
                draw.text((left + side / 2, _header(columns, side) / 2), name, INK, font, anchor="mm")
            if picture is not None:
                tile = _fit(picture, side)
                canvas.paste(tile, (left + (side - tile.width) // 2, top + (side - tile.height) // 2))
    return canvas


def side_of(columns: Columns) -> int:
    """Return the largest picture's longer side, at least 128: small pictures are enlarged without blurring."""
    sides: list[int] = [max(p.shape[:2]) for column in columns.values() for p in column if p is not None]
    return max(128, *sides) if sides else 128


def places(columns: Columns, *, gap: int = 4, cell: int | None = None) -> dict[str, list[Corner]]:
    """Return the upper left corner (x, y) of every place that `grid` makes, by column."""
    side, left = cell or side_of(columns), gap
    top = _header(columns, side) + gap
    found: dict[str, list[Corner]] = {}
    for name, column in columns.items():
        found[name] = [(left, top + row * (side + gap)) for row in range(len(column))]
        left += side + gap if name.strip() else 4 * gap
    return found


def _header(columns: Columns, side: int) -> int:
    return int(max(11, side // 11) * 1.8) if any(columns) else 0


def _fit(picture: np.ndarray, side: int) -> Image.Image:
    """Enlarge by whole pixels or shrink smoothly, so that the longer side becomes `side`."""
    channels = picture.shape[2]
    if channels == 2 or channels > 4:  # the first three stand for all
        picture = picture[:, :, : 1 if channels == 2 else 3]
    image = Image.fromarray(np.ascontiguousarray(picture[..., 0] if picture.shape[2] == 1 else picture))
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, PAPER), image)
    image = image.convert("RGB")
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS)
