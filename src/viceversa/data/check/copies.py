"""Findings about copies: the same image twice, in both domains, or in training and test.

Equal images have equal pixels. Near copies, resized or saved again, are found by the correlation of their small
versions, which must also agree in brightness and colour.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from viceversa.data.check.findings import Finding, of_groups
from viceversa.data.check.look import THUMB, Look, Survey

ALIKE = 0.98  # least correlation of the small versions of copies
MEAN, MOST = 2.5, 20  # how far these may differ, of 255
ROWS = 256  # images compared with all before them at once: a hundred thousand take minutes


def copies(survey: Survey) -> Iterator[Finding]:
    """Find equal and nearly equal images, and say by where they lie what that means."""
    looks = [look for look in survey.looks if not look.error]
    equal: dict[bytes, list[Look]] = defaultdict(list)
    for look in looks:
        equal[look.digest].append(look)
    exact = [group for group in equal.values() if len(group) > 1]
    yield from _findings(survey, exact, exact=True)
    yield from _findings(survey, [group for group in similar(looks) if group not in exact], exact=False)


def similar(looks: Sequence[Look]) -> list[list[Look]]:
    """Return groups of images that are copies or nearly so; flat ones, which show nothing, are in none."""
    bytes_of_all = np.frombuffer(b"".join(look.thumb for look in looks), np.uint8)
    thumbs = bytes_of_all.reshape(len(looks), 3 * THUMB**2).astype(np.float32)
    shapes = thumbs - thumbs.mean(1, keepdims=True)
    shapes /= np.linalg.norm(shapes, axis=1, keepdims=True) + 1e-3
    leaders: dict[int, int] = {}
    for start in range(0, len(looks), ROWS):
        alike = np.tril(shapes[start : start + ROWS] @ shapes[: start + ROWS].T > ALIKE, start - 1)
        for row in np.flatnonzero(alike.any(1)):
            number, candidates = start + int(row), np.flatnonzero(alike[row])[:ROWS]
            apart = np.abs(thumbs[candidates] - thumbs[number])
            for first in candidates[(apart.mean(1) <= MEAN) & (apart.max(1) <= MOST)][:1].tolist():
                leaders[number] = leaders.setdefault(first, first)
    groups: dict[int, list[Look]] = defaultdict(list)
    for number, leader in sorted(leaders.items()):
        groups[leader].append(looks[number])
    return list(groups.values())


def _findings(survey: Survey, groups: list[list[Look]], exact: bool) -> Iterator[Finding]:
    """Sort groups of copies by where they lie: across the splits, across the domains, or within one domain."""
    how, near = ("the same", "") if exact else ("nearly the same", "-near")
    leaks, crossings, repeats = [], [], []
    for group in groups:
        names = tuple(dict.fromkeys(look.name for look in group))
        domains = {look.domain for look in group}
        leaking = any(len({look.part for look in group if look.domain == domain}) == 2 for domain in domains)
        if leaking:
            leaks.append(names)
        if len(domains) == 2 and len(names) > 1 and not survey.data.paired_test:
            crossings.append(names)
        if not leaking and len(domains) == 1:
            repeats.append(names)
    what = f"{how} in training and test: scores on the test would flatter"
    remedy = "remove them from one side"
    yield from of_groups(leaks, "error" if exact else "warning", f"leak{near}", what, remedy)
    what = f"{how} in both domains: they teach that nothing should change"
    yield from of_groups(crossings, "warning", f"both-domains{near}", what, "remove them from one domain")
    what, remedy = f"{how} as others of their domain", "keep one of each, or it is seen more often than others"
    yield from of_groups(repeats, "warning" if exact else "note", f"copies{near}", what, remedy)
