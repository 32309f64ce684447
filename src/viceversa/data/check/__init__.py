"""Looking for what is wrong with a data set, before training does: `check(data)` makes a report."""

from __future__ import annotations

from viceversa.config import DataConfig
from viceversa.data.check import copies, domains, images
from viceversa.data.check.report import COLOURS, Domain, Finding, Report, write_contact_sheet
from viceversa.data.check.survey import Survey, look_around
from viceversa.data.layouts import find_splits
from viceversa.files import Track

__all__ = ["Domain", "Finding", "Report", "Survey", "check", "write_contact_sheet"]

CHECKS = (
    *(images.single, images.dark, copies.copies, domains.shapes, domains.alike, images.amounts, images.sizes),
    *(domains.gray, domains.gap, domains.background, images.left_out),
)
"""All that is looked for. Each takes a survey and yields findings; one that has nothing to say yields none."""


def check(data: DataConfig, *, quick: bool = False, track: Track = lambda items, total: items) -> Report:
    """Look at all images that a configuration names, and say what is wrong with them.

    `quick` reads headers only; what needs pixels is then not looked for. `track` wraps the work, for a progress bar.
    Raises ConfigError or FileNotFoundError if no images are found.
    """
    splits = find_splits(data)
    survey = look_around(splits, data, quick, track)
    found = [finding for each in CHECKS for finding in each(survey)]
    worst_first = sorted(found, key=lambda finding: [*COLOURS].index(finding.severity))
    return Report(splits.note, quick, (domains.facts(survey, "A"), domains.facts(survey, "B")), tuple(worst_first))
