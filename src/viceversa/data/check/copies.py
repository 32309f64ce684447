"""Findings about copies: the same image twice, in both domains, or in training and test.

Equal images have equal pixels. Near copies, resized or saved again, are found by difference hashes (dHash: does it
get brighter to the right, in 8 x 8 places?), and held to be copies only if their small versions agree in colour, too. A
library for the hash would save five lines; what is long here is looking them up among a hundred thousand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from viceversa.data.check.findings import Finding, of_groups
from viceversa.data.check.look import THUMB, Look, Survey

BANDS = (13, 13, 13, 13, 12)  # of the 64 bits: two hashes that differ in at most 4 agree in one of them
MEAN, MOST = 2.5, 20  # how far the small versions of copies may differ, of 255
WINDOW = 48  # neighbours in brightness, within a band, that an image is compared with


def copies(survey: Survey) -> Iterator[Finding]:
    """Find equal and nearly equal images, and say by where they lie what that means."""
    looks = [look for look in survey.looks if not look.error]
    equal: dict[bytes, list[int]] = defaultdict(list)
    for i, look in enumerate(looks):
        equal[look.digest].append(i)
    exact = [group for group in equal.values() if len(group) > 1]
    near = [group for group in joined(similar(looks)) if group not in exact]
    yield from _findings(survey, [[looks[i] for i in group] for group in exact], exact=True)
    yield from _findings(survey, [[looks[i] for i in group] for group in near], exact=False)


def similar(seen: Sequence[Look]) -> list[tuple[int, int]]:
    """Return pairs of images that are copies or nearly so.

    Those that agree in a band of their hashes are sorted by brightness and compared with their neighbours, so that a
    hundred thousand white images take no longer than others.
    """
    if len(seen) < 2:
        return []
    hashes = np.array([look.dhash for look in seen], np.uint64)
    thumbs = np.frombuffer(b"".join(look.thumb for look in seen), np.uint8).reshape(len(seen), THUMB * THUMB * 3)
    brightness = thumbs.mean(1, dtype=np.float32)
    found: list[NDArray[np.int64]] = []
    shift = 0
    for bits in BANDS:
        band = (hashes >> np.uint64(shift)) & np.uint64(2**bits - 1)
        shift += bits
        order = np.lexsort((brightness, band))
        for step in range(1, min(WINDOW, len(seen) - 1) + 1):
            one, other = order[:-step], order[step:]
            close = (band[one] == band[other]) & (brightness[other] - brightness[one] <= MEAN)
            if not close.any():
                break
            found.append(np.stack([one[close], other[close]], axis=1))
    pairs = np.unique(np.sort(np.concatenate(found), axis=1), axis=0) if found else np.empty((0, 2), np.int64)
    return [(int(i), int(j)) for i, j in pairs[_agree(pairs, hashes, thumbs)]]


def _agree(pairs: NDArray[np.int64], hashes: NDArray[np.uint64], thumbs: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether hashes differ in at most 4 bits, and small versions little everywhere; some thousand pairs at a time."""
    verdicts = [np.zeros(0, bool)]
    for start in range(0, len(pairs), 4096):
        one, other = pairs[start : start + 4096].T
        differ = np.unpackbits((hashes[one] ^ hashes[other]).view(np.uint8).reshape(-1, 8), axis=1).sum(1)
        apart = np.abs(thumbs[one].astype(np.int16) - thumbs[other])
        verdicts.append((differ <= len(BANDS) - 1) & (apart.mean(1) <= MEAN) & (apart.max(1) <= MOST))
    return np.concatenate(verdicts)


def joined(pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Return the groups that pairs make when whatever shares a member belongs together."""
    leader: dict[int, int] = {}

    def lead(i: int) -> int:
        while leader.setdefault(i, i) != i:
            leader[i] = i = leader[leader[i]]
        return i

    for i, j in pairs:
        first, second = sorted((lead(i), lead(j)))
        leader[second] = first
    groups: dict[int, list[int]] = defaultdict(list)
    for i in sorted(leader):
        groups[lead(i)].append(i)
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
