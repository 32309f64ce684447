"""Pictures side by side, labelled, fit for a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

INK, PAPER = (40, 40, 40), (255, 255, 255)


def grid(columns: Mapping[str, Sequence[np.ndarray | None]], *, gap: int = 4, cell: int | None = None) -> Image.Image:
    """Return an image with one labelled column for each entry, one row for each of its pictures.

    Pictures are uint8 (H, W, C) with 1, 3 or 4 channels; None leaves a place empty. `cell` is the side of a place in
    pixels, by default the largest picture's, at least 128 (small pictures are enlarged without blurring). A label that
    is an empty string starts a new group after a wider gap.
    """
    pictures = [p for column in columns.values() for p in column if p is not None]
    side = cell or max([128, *(max(p.shape[:2]) for p in pictures)])
    font = ImageFont.load_default(size=max(11, side // 11))
    header = int(font.size * 1.8) if any(columns) else 0  # type: ignore[union-attr]
    rows = max(len(column) for column in columns.values())
    width = sum(side + gap if name.strip() else 4 * gap for name in columns) + gap
    canvas = Image.new("RGB", (width, header + rows * (side + gap) + gap), PAPER)
    draw, left = ImageDraw.Draw(canvas), gap
    for name, column in columns.items():
        if not name.strip():
            left += 4 * gap
            continue
        draw.text((left + side / 2, header / 2), name, INK, font, anchor="mm")
        for row, picture in enumerate(column):
            if picture is not None:
                tile = _fit(picture, side)
                top = header + gap + row * (side + gap)
                canvas.paste(tile, (left + (side - tile.width) // 2, top + (side - tile.height) // 2))
        left += side + gap
    return canvas


def _fit(picture: np.ndarray, side: int) -> Image.Image:
    """Enlarge by whole pixels or shrink smoothly, so that the longer side becomes `side`."""
    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).convert("RGB")
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS)
