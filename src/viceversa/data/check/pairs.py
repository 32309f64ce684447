"""Findings about pairs: sizes that differ, partners that show something else, pictures that are shifted."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

import numpy as np
from numpy.typing import NDArray

from viceversa.data.check.findings import Finding, about, counted
from viceversa.data.check.look import Look, Match
from viceversa.data.check.survey import Part, Survey

ENOUGH = 8  # pairs, to say what is usual among them
BY_CHANCE = 0.60  # how often a partner must be more alike than a stranger, for pairs to be believed
SHIFTED = 0.02  # part of the side
VAGUE, CLEAR = 1.3, 4.0  # standard deviations; strangers reach 0.9 at the median, facades 5.4
PARTS: tuple[Part, ...] = ("train", "test")


def shapes(survey: Survey) -> Iterator[Finding]:
    """Name pairs whose pictures differ in shape: a crop cannot show the same spot of both."""
    wrong, sizes = [], 0
    for a, b in _partners(survey):
        if a.size and b.size:
            sizes += a.size != b.size
            if abs(a.size[0] * b.size[1] - a.size[1] * b.size[0]) > 0.02 * a.size[1] * b.size[0]:
                wrong.append((a.name, b.name))
    if wrong:
        what = f"{counted(len(wrong), 'pair')} of pictures unlike in shape: the same spot lies elsewhere in the partner"
        remedy = "crop both in the same way, or make sure that they belong together"
        yield about(wrong, "warning", "shapes", what, remedy)
    elif sizes:
        what = f"{counted(sizes, 'pair')} of pictures unlike in size, but not in shape: they are brought to one size"
        yield Finding("note", "pair-sizes", what)


def alike(survey: Survey) -> Iterator[Finding]:
    """Compare the outlines of partners, with each other and with those of strangers."""
    pairs = [(a, b, match) for a, b, match in _matched(survey) if a.sight and b.sight]
    if len(pairs) < ENOUGH:
        return
    own, strangers = _likeness([(a, b) for a, b, _ in pairs])
    better = float((own[:, None] > strangers).mean())
    shifted = list(_shifted([match for _, _, match in pairs]))
    if shifted:
        yield from shifted
    elif better < BY_CHANCE:
        chance = f"{100 * better:.0f} % of comparisons, where 50 % is chance"
        what = f"the outlines of partners are hardly more alike than those of strangers ({chance})"
        remedy = "make sure that the files pair up as they should; if they do not, train a method for unpaired worlds"
        yield Finding("warning", "unlike", what, remedy)
    else:
        yield from _strangers(pairs, own, strangers)


def _strangers(
    pairs: list[tuple[Look, Look, Match]], own: NDArray[np.float32], others: NDArray[np.float32]
) -> Iterator[Finding]:
    """Name the pairs that stand out where most line up exactly: nothing lies in place, and strangers are more alike.

    It finds a part of them only, and hardly ever names a true pair.
    """
    prominence = np.array([match.prominence for _, _, match in pairs])
    odd = (prominence < VAGUE) & (own < np.median(others, axis=1))
    if np.median(prominence) >= CLEAR and odd.any():
        files = [(pairs[i][0].name, pairs[i][1].name) for i in np.flatnonzero(odd)]
        what = f"{counted(len(files), 'pair')} seem mismatched: their outlines agree less than those of strangers"
        yield about(files, "warning", "mismatched", what, "look at them")


def _shifted(matches: list[Match]) -> Iterator[Finding]:
    """Say if most pairs are shifted, and all by the same."""
    right, down = (median(match.shift[axis] for match in matches) for axis in (0, 1))
    same = [max(abs(match.shift[0] - right), abs(match.shift[1] - down)) <= SHIFTED for match in matches]
    if max(abs(right), abs(down)) >= SHIFTED and sum(same) > 0.5 * len(same):
        offset = f"{100 * right:+.1f} % of the width, {100 * down:+.1f} % of the height"
        what = f"B lies off A: {offset} (median over the pairs)"
        yield Finding("warning", "shifted", what, "shift or crop one side: pix2pix blurs what does not line up")


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


def _partners(survey: Survey) -> Iterator[tuple[Look, Look]]:
    for part in PARTS:
        if survey.matches[part]:
            yield from zip(survey.looks[part, "A"], survey.looks[part, "B"], strict=True)


def _matched(survey: Survey) -> Iterator[tuple[Look, Look, Match]]:
    matches = [match for part in PARTS for match in survey.matches[part]]
    for (a, b), match in zip(_partners(survey), matches, strict=True):
        if match:
            yield a, b, match
