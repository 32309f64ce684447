"""Findings about the two domains: what tells them apart besides what shall be translated, and whether pairs match."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

from viceversa.data.check.images import of_images
from viceversa.data.check.look import Look, Sight
from viceversa.data.check.report import Domain, Finding, counted, of_groups
from viceversa.data.check.survey import Survey

APART, FAR_APART = 0.80, 0.95  # how often one number tells an image of A from one of B
LIGHT, DARK = 170, 85  # of backgrounds
DIFFERENT = 0.3  # of their shares
ENOUGH = 8  # images, to say what is usual among them
DULL = 0.01  # part of the images that makes gray ones worth a line
BY_CHANCE = 0.60  # how often a partner must be more alike than a stranger, for pairs to be believed
SHIFTED = 0.02  # part of the side
VAGUE, CLEAR = 1.3, 4.0  # standard deviations; strangers reach 0.9 at the median, facades 5.4
MEASURES: dict[str, Callable[[Sight], float]] = {
    "brightness": lambda sight: sight.brightness,
    "brightness of the border": lambda sight: sight.border,
    "contrast": lambda sight: sight.contrast,
    "warmth (red - blue)": lambda sight: sight.colour[0] - sight.colour[2],
    "tint (green - magenta)": lambda sight: sight.colour[1] - (sight.colour[0] + sight.colour[2]) / 2,
}


def facts(survey: Survey, name: str) -> Domain:
    """Count sizes and modes, and take means, of domain "A" or "B"."""
    looks = survey.sound(name)
    sizes = Counter(f"{look.size[0]}x{look.size[1]}" for look in looks if look.size)
    modes = Counter(look.mode for look in looks if look.mode)
    means = {}
    if seen := _sights(looks):
        keys = ("brightness", "contrast", "border", "red", "green", "blue")
        values = np.mean([(s.brightness, s.contrast, s.border, *s.colour) for s in seen], axis=0)
        means = {key: round(float(value), 1) for key, value in zip(keys, values, strict=True)}
    train, test = len(survey.looks["train", name]), len(survey.looks["test", name])
    return Domain(name, train, test, dict(sizes.most_common()), dict(modes.most_common()), means)


def gray(survey: Survey) -> Iterator[Finding]:
    """Name the gray images in a domain of colour."""
    for domain in "AB":
        looks = [look for look in survey.sound(domain) if look.sight]
        dull = [look for look in looks if look.sight and _colourless(look.sight)]
        if DULL * len(looks) < len(dull) < 0.5 * len(looks):
            what = f"of {len(looks)} of {domain} have no colour"
            yield from of_images(dull, "note", "gray", what, "remove them if the others' colours shall be learnt")


def gap(survey: Survey) -> Iterator[Finding]:
    """Say which plain numbers already tell the domains apart."""
    a, b = _unpaired(survey)
    told = {}
    for name, measure in MEASURES.items():
        one, other = ([measure(sight) for sight in seen] for seen in (a, b))
        if a and (share := separability(one, other)) >= APART:
            told[f"{name} {100 * share:.0f} % ({np.mean(one):.0f} in A, {np.mean(other):.0f} in B)"] = share
    if told:
        what = f"plain numbers tell A from B, where 50 % is chance: {', '.join(told)}"
        remedy = "the translator will change them; if it should not, choose images alike in them"
        yield Finding("warning" if max(told.values()) >= FAR_APART else "note", "gap", what, remedy)


def background(survey: Survey) -> Iterator[Finding]:
    """Say if one domain has light backgrounds and the other dark ones, which a translator would learn to swap."""
    a, b = _unpaired(survey)
    light = [100 * float(np.mean([sight.border > LIGHT for sight in seen])) for seen in (a, b) if seen]
    dark = [100 * float(np.mean([sight.border < DARK for sight in seen])) for seen in (a, b) if seen]
    if a and max(abs(light[0] - light[1]), abs(dark[0] - dark[1])) >= 100 * DIFFERENT:
        what = (
            f"backgrounds differ: light in {light[0]:.0f} % of A and {light[1]:.0f} % of B, "
            f"dark in {dark[0]:.0f} % and {dark[1]:.0f} %"
        )
        remedy = "if they should stay, balance them, or let the generator leave them alone: generator.mask=true"
        yield Finding("warning", "background", what, remedy)


def separability(a: Sequence[float], b: Sequence[float]) -> float:
    """Return how often a number tells one of `a` from one of `b`: 0.5 by chance, 1 always (the area under the ROC)."""
    values = np.concatenate([a, b])
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # ties share the mean of their ranks
    area = (ranks[: len(a)].sum() - len(a) * (len(a) + 1) / 2) / (len(a) * len(b))
    return float(max(area, 1 - area))


def _unpaired(survey: Survey) -> tuple[list[Sight], list[Sight]]:
    """Return what was seen of both domains, if there is a gap to look for: not with pairs, which say what changes."""
    a, b = (_sights(survey.sound(domain)) for domain in "AB")
    return ([], []) if survey.splits.train.paired or min(len(a), len(b)) < ENOUGH else (a, b)


def _sights(looks: Sequence[Look]) -> list[Sight]:
    return [look.sight for look in looks if look.sight]


def _colourless(sight: Sight) -> bool:
    thumb = np.frombuffer(sight.thumb, np.uint8).reshape(-1, 3).astype(int)
    return int(np.ptp(thumb, axis=1).max()) <= 2


def shapes(survey: Survey) -> Iterator[Finding]:
    """Name pairs whose images differ in shape: a crop cannot show the same spot of both."""
    wrong, unequal = [], 0
    for a, b, _ in survey.pairs:
        if a.size and b.size:
            unequal += a.size != b.size
            if abs(a.size[0] * b.size[1] - a.size[1] * b.size[0]) > 0.02 * a.size[1] * b.size[0]:
                wrong.append((a.name, b.name))
    what = "in pairs unlike in shape: the same spot lies elsewhere in the partner"
    remedy = "crop both in the same way, or make sure that they belong together"
    yield from of_groups(wrong, "warning", "shapes", what, remedy)
    if unequal and not wrong:
        what = f"{counted(unequal, 'pair')} of images unlike in size, but not in shape: they are brought to one size"
        yield Finding("note", "pair-sizes", what)


def alike(survey: Survey) -> Iterator[Finding]:
    """Compare the outlines of partners, with each other and with those of strangers."""
    pairs = [(a, b, fit) for a, b, fit in survey.pairs if fit]
    if len(pairs) < ENOUGH:
        return
    right, down = (median(fit.shift[axis] for _, _, fit in pairs) for axis in (0, 1))
    near = [max(abs(fit.shift[0] - right), abs(fit.shift[1] - down)) <= SHIFTED for _, _, fit in pairs]
    own, strangers = _likeness([(a, b) for a, b, _ in pairs])
    better = float((own[:, None] > strangers).mean())
    prominence = np.array([fit.prominence for _, _, fit in pairs])
    odd = (prominence < VAGUE) & (own < np.median(strangers, axis=1))  # finds a part of the mismatched ones only
    if max(abs(right), abs(down)) >= SHIFTED and sum(near) > 0.5 * len(near):
        offset = f"{100 * right:+.1f} % of the width, {100 * down:+.1f} % of the height"
        what = f"B lies off A: {offset} (median over the pairs)"
        yield Finding("warning", "shifted", what, "shift or crop one side: pix2pix blurs what does not line up")
    elif better < BY_CHANCE:
        chance = f"{100 * better:.0f} % of comparisons, where 50 % is chance"
        what = f"the outlines of partners are hardly more alike than those of strangers ({chance})"
        remedy = "make sure that the files pair up as they should; if they do not, train a method for unpaired domains"
        yield Finding("warning", "unlike", what, remedy)
    elif np.median(prominence) >= CLEAR and odd.any():  # most line up exactly, so that those that do not stand out
        files = [(pairs[i][0].name, pairs[i][1].name) for i in np.flatnonzero(odd)]
        what = "in pairs that seem mismatched: their outlines agree less than those of strangers"
        yield from of_groups(files, "warning", "mismatched", what, "look at them")


def _likeness(pairs: list[tuple[Look, Look]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the correlation of outlines of each pair (n), and of each A with the B of a few other pairs (n, k)."""
    a, b = (_outlines([pair[side] for pair in pairs]) for side in (0, 1))
    steps = [max(1, len(pairs) * i // 9) for i in range(1, 9)]
    return (a * b).sum(1), np.stack([(a * np.roll(b, step, axis=0)).sum(1) for step in steps], axis=1)


def _outlines(looks: list[Look]) -> NDArray[np.float32]:
    edges = np.frombuffer(b"".join(look.sight.outlines for look in looks if look.sight), np.uint8)
    rows = edges.reshape(len(looks), -1).astype(np.float32)
    rows -= rows.mean(1, keepdims=True)
    normed: NDArray[np.float32] = rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-3)
    return normed
