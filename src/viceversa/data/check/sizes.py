"""Findings about sizes: pictures that training enlarges or squeezes."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from viceversa.data.check.findings import Finding
from viceversa.data.check.survey import Survey

ENLARGED = 1.25  # times; the papers enlarge 256 to 286 themselves
SQUEEZED = 1.25  # long over short side after which stretching shows
UNLIKE = 1.5  # times the size of the other world
MANY = 0.1  # part of the pictures
SIDES = (512, 384, 256, 192, 128, 96, 64, 48, 32)


def enlarged(survey: Survey) -> Iterator[Finding]:
    """Say which pictures are smaller than training wants them, and which sizes would fit."""
    data, shorts = survey.data, _short_sides(survey)
    wanted = data.crop if data.resize == "none" else data.load
    small = {world: [side for side in sides if ENLARGED * side < wanted] for world, sides in shorts.items()}
    many = {world: sides for world, sides in small.items() if len(sides) > MANY * len(shorts[world])}
    if many:
        counts = ", ".join(
            f"{len(sides)} of {len(shorts[w])} {w}, {wanted / median(sides):.1f} times" for w, sides in many.items()
        )
        what = f"small pictures are enlarged to {wanted} pixels: {counts}"
        yield Finding("warning", "enlarged", what, _fitting([*shorts.values()]))


def sharpness(survey: Survey) -> Iterator[Finding]:
    """Say if resizing leaves one world sharp and the other blurred."""
    data, shorts = survey.data, _short_sides(survey)
    medians = [median(sides) for sides in shorts.values() if sides]
    blurred = len(medians) == 2 and ENLARGED * min(medians) < data.load and data.resize != "none"
    if blurred and max(medians) >= UNLIKE * min(medians) and not survey.source.train.paired:
        what = (
            f"A and B differ in sharpness: short sides of {medians[0]:g} and {medians[1]:g} pixels become {data.load}"
        )
        yield Finding("warning", "sharpness", what, _fitting([*shorts.values()]))


def squeezed(survey: Survey) -> Iterator[Finding]:
    """Say how far stretching to a square distorts."""
    ratios = [max(look.size) / min(look.size) for look in survey.every() if look.size]
    strong = [ratio for ratio in ratios if ratio > SQUEEZED]
    if survey.data.resize == "stretch" and len(strong) > MANY * len(ratios):
        what = f"{len(strong)} of {len(ratios)} pictures are squeezed to a square (median 1 : {median(strong):.2f})"
        yield Finding("warning", "squeezed", what, "data.resize=short_side keeps shapes, and takes crops")


def _short_sides(survey: Survey) -> dict[str, list[int]]:
    return {world: [min(look.size) for look in survey.sound(world) if look.size] for world in "AB"}


def _fitting(sides: list[list[int]]) -> str:
    """Return the largest usual crop that half of the pictures of each world fill without being enlarged much."""
    least = min(median(side) for side in sides if side)
    crop = next((side for side in SIDES if side <= least), SIDES[-1])
    return f"train smaller: data.load={crop * 9 // 8} data.crop={crop}"
