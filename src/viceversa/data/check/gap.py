"""Findings about what tells the worlds apart besides what shall be translated: brightness, background, colour."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from viceversa.data.check.amounts import sights
from viceversa.data.check.findings import Finding
from viceversa.data.check.look import Sight, names_of
from viceversa.data.check.survey import Survey

APART, FAR_APART = 0.80, 0.95  # how often one number tells a picture of A from one of B
LIGHT, DARK = 170, 85  # of backgrounds
DIFFERENT = 0.3  # of their shares
ENOUGH = 8  # pictures, to say what is usual among them
DULL = 0.01  # part of the pictures that makes gray ones worth a line
MEASURES: dict[str, Callable[[Sight], float]] = {
    "brightness": lambda sight: sight.brightness,
    "brightness of the border": lambda sight: sight.border,
    "contrast": lambda sight: sight.contrast,
    "warmth (red - blue)": lambda sight: sight.colour[0] - sight.colour[2],
    "tint (green - magenta)": lambda sight: sight.colour[1] - (sight.colour[0] + sight.colour[2]) / 2,
}


def gray(survey: Survey) -> Iterator[Finding]:
    """Name the gray pictures in a world of colour."""
    for world in "AB":
        looks = [look for look in survey.sound(world) if look.sight]
        dull = [look for look in looks if look.sight and _colourless(look.sight)]
        if DULL * len(looks) < len(dull) < 0.5 * len(looks):
            what = f"{len(dull)} of {len(looks)} pictures of {world} have no colour"
            yield Finding("note", "gray", what, "remove them if the others' colours shall be learnt", names_of(dull))


def _colourless(sight: Sight) -> bool:
    thumb = np.frombuffer(sight.thumb, np.uint8).reshape(-1, 3).astype(int)
    return int(np.ptp(thumb, axis=1).max()) <= 2


def gap(survey: Survey) -> Iterator[Finding]:
    """Say which plain numbers already tell the worlds apart."""
    a, b = _worlds(survey)
    told = {}
    for name, measure in MEASURES.items():
        one, other = ([measure(sight) for sight in seen] for seen in (a, b))
        if a and (share := separability(one, other)) >= APART:
            told[f"{name} {100 * share:.0f} % ({np.mean(one):.0f} in A, {np.mean(other):.0f} in B)"] = share
    if told:
        what = f"plain numbers tell A from B, where 50 % is chance: {', '.join(told)}"
        remedy = "the translator will change them; if it should not, choose pictures alike in them"
        yield Finding("warning" if max(told.values()) >= FAR_APART else "note", "gap", what, remedy)


def background(survey: Survey) -> Iterator[Finding]:
    """Say if one world has light backgrounds and the other dark ones, which source 004's translator learnt to swap."""
    a, b = _worlds(survey)
    shares = [
        [np.mean([test(sight.border) for sight in seen]) for seen in (a, b)] for test in (_light, _dark) if a and b
    ]
    if shares and max(abs(one - other) for one, other in shares) >= DIFFERENT:
        light, dark = ([f"{100 * share:.0f} %" for share in pair] for pair in shares)
        what = f"backgrounds differ: light in {light[0]} of A and {light[1]} of B, dark in {dark[0]} and {dark[1]}"
        remedy = "if they should stay, balance them, or let the generator leave them alone: generator.mask=true"
        yield Finding("warning", "background", what, remedy)


def _worlds(survey: Survey) -> tuple[list[Sight], list[Sight]]:
    """Return what was seen of both worlds, if there is a gap to look for: not with pairs, which say what changes."""
    a, b = (sights(survey.sound(world)) for world in "AB")
    return ([], []) if survey.source.train.paired or min(len(a), len(b)) < ENOUGH else (a, b)


def _light(border: float) -> bool:
    return border > LIGHT


def _dark(border: float) -> bool:
    return border < DARK


def separability(a: Sequence[float], b: Sequence[float]) -> float:
    """Return how often a number tells one of `a` from one of `b`: 0.5 by chance, 1 always (the area under the ROC)."""
    values = np.concatenate([a, b])
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # ties share the mean of their ranks
    area = (ranks[: len(a)].sum() - len(a) * (len(a) + 1) / 2) / (len(a) * len(b))
    return float(max(area, 1 - area))
