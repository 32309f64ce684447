"""`viceversa data faces`: squares around the faces of a folder of pictures, and a list of what became of each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from viceversa.data.folders import list_images
from viceversa.data.image_data import ImageData, ImageError, with_channels
from viceversa.data.image_io import read_image, write_image
from viceversa.data.prepare.detect import Detector, Face
from viceversa.files import replacing_folder

LIST = "faces.jsonl"
Track: TypeAlias = Callable[[Iterable[Path], int], Iterable[Path]]


@dataclass(frozen=True)
class Choice:
    """Which faces to take, and how much around them. The defaults are source 000's, but for its taking all faces."""

    margin: float = 0.5
    """Added on every side of the box around a face, as a part of that box's side."""
    min_size: int = 60
    """Faces whose box is smaller than this, in pixels, are dropped."""
    faces: Literal["largest", "all"] = "largest"


@dataclass
class Outcome:
    """How it went: pictures looked at, faces written, and how many pictures or faces were dropped for which reason."""

    pictures: int
    written: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    failed: dict[Path, str] = field(default_factory=dict)
    """Pictures that could not be read, and why."""

    def count(self, faces: list[dict[str, Any]]) -> None:
        """Add what was noted of the faces of a picture."""
        self.written += sum("written" in face for face in faces)
        self.dropped.update(f"face {face['dropped']}" for face in faces if "dropped" in face)
        self.dropped["no face"] += not faces


def crop_faces(
    source: Path,
    out: Path,
    detect: Detector,
    choice: Choice = Choice(),
    *,
    overwrite: bool = False,
    track: Track = lambda files, total: files,
) -> Outcome:
    """Write a square around each face found in the pictures of a folder and its subfolders, as PNG.

    `out`, which appears when all is done, also holds faces.jsonl: a line for each picture with its faces, what was
    written, and what was dropped and why. Raises FileNotFoundError if there are no pictures, FileExistsError if `out`
    holds anything and is not to be overwritten.
    """
    files = list_images(source)
    if not files:
        raise FileNotFoundError(f"{source}: no pictures in it" if source.is_dir() else f"{source}: no such folder")
    stems = Counter(file.relative_to(source).with_suffix("") for file in files)
    outcome = Outcome(len(files))
    with replacing_folder(out, overwrite=overwrite) as folder, (folder / LIST).open("w", encoding="utf-8") as listing:
        for file in track(files, len(files)):
            name = file.relative_to(source)
            bare = name.with_suffix("")
            line: dict[str, Any] = {"file": name.as_posix()}
            try:
                line["faces"] = _crop(read_image(file), folder, bare if stems[bare] == 1 else name, detect, choice)
                outcome.count(line["faces"])
            except ImageError as error:
                line["failed"] = outcome.failed[file] = str(error).removeprefix(f"{file}: ")
            listing.write(json.dumps(line) + "\n")
    return outcome


def _crop(picture: ImageData, folder: Path, name: Path, detect: Detector, choice: Choice) -> list[dict[str, Any]]:
    """Write the faces of one picture, by a name without suffix; return what to note of each."""
    height, width = picture.pixels.shape[:2]
    found = detect(_eight_bits(with_channels(picture, 3)))
    large = [face for face in found if min(face.width, face.height) >= choice.min_size]
    taken = large[:1] if choice.faces == "largest" else large
    notes: list[dict[str, Any]] = []
    for face in found:
        box = [round(value) for value in (face.x, face.y, face.width, face.height)]
        note: dict[str, Any] = {"box": box, "score": round(face.score, 3)}
        if face in taken:
            number = f".{taken.index(face) + 1}" if len(taken) > 1 else ""
            note["square"] = square(face, choice.margin, height, width)
            note["written"] = f"{name.as_posix()}{number}.png"
            _save(folder / note["written"], picture, *note["square"])
        else:
            note["dropped"] = "not the largest" if face in large else f"smaller than {choice.min_size} px"
        notes.append(note)
    return notes


def square(face: Face, margin: float, height: int, width: int) -> tuple[int, int, int]:
    """Return left, top and side of a square around a face, in whole pixels, inside a picture.

    It has the face in its middle. At the edge of the picture it is moved; only if the picture is too small it shrinks.
    """
    side = min(round(max(face.width, face.height) * (1 + 2 * margin)), height, width)
    left = round(face.x + face.width / 2 - side / 2)
    top = round(face.y + face.height / 2 - side / 2)
    return min(max(left, 0), width - side), min(max(top, 0), height - side), side


def _save(path: Path, picture: ImageData, left: int, top: int, side: int) -> None:
    rows, columns = slice(top, top + side), slice(left, left + side)
    alpha = None if picture.alpha is None else picture.alpha[rows, columns]
    write_image(path, _eight_bits(picture.pixels[rows, columns]), alpha, picture.gray)


def _eight_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return pixels as uint8; those of deep pictures are floats in [0, 1]."""
    return pixels if pixels.dtype == np.uint8 else np.rint(pixels * 255).astype(np.uint8)
