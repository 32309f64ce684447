"""Looking for what is wrong with a data set, before training does: `check(data)` makes a report."""

from __future__ import annotations

from viceversa.config import DataConfig
from viceversa.data.check import amounts, copies, gap, left_out, pairs, single, sizes
from viceversa.data.check.findings import Finding, Report, World, ordered
from viceversa.data.check.survey import Survey, Track, look_around
from viceversa.data.layouts import find_splits

__all__ = ["Finding", "Report", "Survey", "World", "check"]

CHECKS = (
    *(single.broken, single.flat, single.tiny, single.traits, single.strange),
    *(copies.copies, pairs.shapes, pairs.alike),
    *(amounts.enough, amounts.balance, sizes.enlarged, sizes.sharpness, sizes.squeezed),
    *(gap.gray, gap.gap, gap.background),
)
"""All that is looked for. Each takes a survey and yields findings; one that has nothing to say yields none."""


def check(data: DataConfig, *, quick: bool = False, track: Track = lambda items, total: items) -> Report:
    """Look at all pictures that a configuration names, and say what is wrong with them.

    `quick` reads headers only; what needs pixels is then not looked for. `track` wraps the work, for a progress bar.
    Raises ConfigError or FileNotFoundError if no pictures are found.
    """
    source = find_splits(data)
    seen = look_around(source, data, quick, track)
    found = [finding for each in CHECKS for finding in each(seen)]
    return Report(source.note, quick, amounts.facts(seen), ordered([*found, *left_out.left_out(source, data)]))
