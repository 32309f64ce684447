"""What the doctor sees in samples: for each ailment a function that tells of it in words, or returns none.

The thresholds separate healthy from ill runs on real sets and on made pictures (docs/troubleshooting.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

ImageSet: TypeAlias = NDArray[np.floating[Any]]
"""Float images (N, H, W, C) in [-1, 1]."""


@dataclass(frozen=True)
class Case:
    """Samples of one direction; `real` are images of the target domain, if known."""

    inputs: ImageSet
    outputs: ImageSet
    real: ImageSet | None

    def each(self, measure: Callable[[ImageSet], float]) -> list[float]:
        """Return a measure of the outputs, and then of the inputs and of the real images, if known."""
        return [measure(images) for images in (self.outputs, self.inputs, self.real) if images is not None]


def inverted(case: Case) -> str:
    """Light became dark: the correlation of brightness is clearly negative."""
    a, b = (images.mean(-1).reshape(len(images), -1) for images in (case.inputs, case.outputs))
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)  # 0 for flat images
    found = float(np.where(norms > 1e-6, (a * b).sum(1) / np.maximum(norms, 1e-6), 0.0).mean())
    return f"light and dark are exchanged (correlation {found:.2f})" if found < -0.3 else ""


def copied(case: Case) -> str:
    """Nothing happens: the translation is its input."""
    alike = case.inputs.shape == case.outputs.shape and np.abs(case.outputs - case.inputs).mean() <= 0.01
    return "translations equal their inputs" if alike else ""


def collapsed(case: Case) -> str:
    """All translations look the same."""
    varied = diversity(case.inputs if case.real is None else case.real)
    found = diversity(case.outputs)
    if len(case.outputs) < 3 or found > 0.2 * varied:
        return ""
    return f"all translations look alike (a {varied / max(found, 1e-9):.0f}th of the variety there)"


def tinted(case: Case) -> str:
    """Translations have a colour cast that the target domain does not have."""
    if case.real is None or case.real.shape[-1] != case.outputs.shape[-1]:
        return ""
    means = [images.mean((0, 1, 2)) for images in (case.outputs, case.real)]
    found = (means[0] - means[0].mean()) - (means[1] - means[1].mean())
    if np.abs(found).max() < 0.12:
        return ""
    channel = int(np.abs(found).argmax())
    colour = ["red", "green", "blue"][channel] if len(found) == 3 else f"channel {channel}"
    return f"translations have too {'much' if found[channel] > 0 else 'little'} {colour}"


def striped(case: Case) -> str:
    """A checkerboard or bar code lies over the translations."""
    found = stripes(case.outputs) - max(stripes(images) for images in (case.inputs, case.real) if images is not None)
    return f"a pattern of 2 or 4 pixels ({math.exp(found):.0f} times as strong as is usual)" if found >= 1.2 else ""


def saturated(case: Case) -> str:
    """Much of the translations is pure black, white or colour."""
    found, *usual = case.each(lambda images: float((np.abs(images) > 0.98).mean()))
    if found - max(usual) < 0.3:
        return ""
    return f"{found:.0%} of the values lie at the end of their range, {max(usual):.0%} of real ones"


def blotted(case: Case) -> str:
    """Blobs of pure black and white: pixels that a tanh cannot bring back."""
    found, *usual = case.each(lambda images: float(blots(images).mean()))
    return f"{found:.0%} have black and white blobs, {max(usual):.0%} of real ones" if found - max(usual) > 0.3 else ""


def one_palette(case: Case) -> str:
    """All translations have the same colours, though neither the inputs nor the target domain do."""
    found, *usual = case.each(lambda images: distance(images.mean((1, 2))))
    if len(case.outputs) < 3 or case.real is None or found > 0.3 * min(usual):
        return ""
    return f"all translations have one palette (a {min(usual) / max(found, 1e-9):.0f}th of the variety there)"


def ignored(case: Case) -> str:
    """What a translation shows does not follow from its input: its outlines resemble those of others as much."""
    if len(case.outputs) < 4 or case.inputs.shape[:3] != case.outputs.shape[:3]:
        return ""
    likeness = outlines(case.outputs) @ outlines(case.inputs).T
    own, others = np.diag(likeness), likeness[~np.eye(len(likeness), dtype=bool)].reshape(len(likeness), -1)
    found = int((own > others.max(1)).sum())
    if found > len(own) // 3 or own.mean() > others.mean() + 0.1:
        return ""
    return f"translations do not follow their inputs ({found} of {len(own)} resemble their own most)"


def textured(case: Case) -> str:
    """Fine texture lies over everything, more than in the inputs and in the target domain."""
    found, *usual = case.each(fineness)
    return f"texture everywhere ({found / max(usual):.1f} times as much as is usual)" if found > 2 * max(usual) else ""


PROBES: dict[Callable[[Case], str], str] = {
    inverted: "start again with another seed; method.identity=0.5; method.content=5; "
    "method.name=cut, which does not invert",
    copied: "method.identity=0; lower method.cycle_x and method.cycle_y; method.keep=0.3; generator.mask=false; "
    "see that the two domains differ: viceversa data check",
    collapsed: "go back to an earlier checkpoint with a lower train.lr, or start again; "
    "raise method.cycle_x and method.cycle_y; raise method.nce; method.color=3",
    tinted: "train longer; method.identity=0.5 keeps colours; see that both are lit alike: viceversa data check",
    one_palette: "generator.skip=true; method.color=1; method.identity=0.5; more pictures, or another seed",
    ignored: "raise method.content; raise method.keep; raise method.nce; raise method.cycle_x and method.cycle_y; "
    "raise method.l1; generator.skip=true; more pictures, or another seed",
    textured: "a lower discriminator.width; a lower discriminator.pixels; train longer",
    striped: "generator.upsample=resize, in a new run; training longer makes it weaker",
    blotted: "generator.output=clamp, in a new run; another seed; training longer makes some go",
    saturated: "lower train.lr; if inputs are saturated too: viceversa data check",
}
"""Remedies for each, with semicolons in between; those that name options are for runs that have them."""
ERRORS = inverted, collapsed
"""What is worse than a warning."""


def blots(images: ImageSet) -> NDArray[np.bool_]:
    """Return which images have pure black within two pixels of pure white; lines and lights in drawings have less."""
    black, white = (images < -0.97).all(-1), (images > 0.97).all(-1)
    near = np.lib.stride_tricks.sliding_window_view(np.pad(white, ((0, 0), (2, 2), (2, 2))), (5, 5), (1, 2))
    found: NDArray[np.bool_] = (black & near.any((3, 4))).sum((1, 2)) >= 6 * images.shape[1] / 64
    return found


def distance(points: ImageSet) -> float:
    """Return the mean distance of any two points of a set, (N, D)."""
    distances = np.abs(points[:, None] - points[None]).mean(-1)
    return float(distances.sum() / max(1, len(points) * (len(points) - 1)))


def outlines(images: ImageSet) -> ImageSet:
    """Return where the edges of each image are, (N, areas) of mean 0 and length 1, seen from afar."""
    gray = images.mean(-1)
    edges = np.sqrt(np.abs(np.diff(gray, axis=1))[:, :, 1:] + np.abs(np.diff(gray, axis=2))[:, 1:])
    step = max(1, min(edges.shape[1:]) // 16)
    height, width = (length // step for length in edges.shape[1:])
    cut = edges[:, : height * step, : width * step]
    flat = cut.reshape(len(cut), height, step, width, step).mean((2, 4)).reshape(len(cut), -1)
    flat = flat - flat.mean(1, keepdims=True)
    found: ImageSet = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    return found


def fineness(images: ImageSet) -> float:
    """Return how much pixels differ from the mean of their neighbours, in the mean."""
    gray = images.mean(-1)
    inner = gray[:, 1:-1, 1:-1]
    around = (gray[:, 2:, 1:-1] + gray[:, :-2, 1:-1] + gray[:, 1:-1, 2:] + gray[:, 1:-1, :-2]) / 4
    return float(np.abs(inner - around).mean())


def diversity(images: ImageSet) -> float:
    """Return the mean distance of any two images of a set, seen from afar (8 x 8 areas; smaller ones as they are)."""
    height, width = (length // 8 * 8 for length in images.shape[1:3])
    if height and width:
        cut = images[:, :height, :width]
        images = cut.reshape(len(cut), 8, height // 8, 8, width // 8, cut.shape[-1]).mean((2, 4))
    return distance(images.reshape(len(images), -1))


def stripes(images: ImageSet) -> float:
    """Return how much stronger than their neighbours the frequencies of strides 2 and 4 are (in nats).

    Transposed convolutions leave a checkerboard or a bar code of periods 2 and 4 pixels (Odena et al., 2016): lines at
    those frequencies in the spectrum, whatever the image shows. Natural images have about 0.
    """
    gray = images.mean(-1)
    gray = gray - gray.mean((1, 2), keepdims=True)
    window = np.hanning(gray.shape[1])[:, None] * np.hanning(gray.shape[2])
    power = np.abs(np.fft.fft2(gray * window)) ** 2
    worst = -np.inf
    for axis in (1, 2):
        rows = np.log(power.mean((0, 3 - axis)) + 1e-9)
        size = len(rows)
        for line in (size // 2, size // 4):
            around = [rows[line + far] for far in (-5, -4, -3)]
            around += [rows[line + far] for far in (3, 4, 5)] if line < size // 2 else []
            worst = max(worst, rows[line] - float(np.mean(around)))
    return float(worst)
