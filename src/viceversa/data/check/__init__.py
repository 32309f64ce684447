"""Looking for what is wrong with a data set, before training does: `check(data)` makes a report."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import Any

from viceversa.config import DataConfig
from viceversa.data.check import copies, findings
from viceversa.data.check.findings import Finding
from viceversa.data.check.look import Survey, look_around
from viceversa.data.layouts import find_splits
from viceversa.files import Track

__all__ = ["Finding", "Report", "check"]

CHECKS = (
    *(findings.broken, findings.plain, copies.copies, findings.pairs, findings.amounts, findings.sizes),
    *(findings.gap, findings.changed, findings.left_out),
)
"""All that is looked for. Each takes a survey and yields findings; one that has nothing to say yields none."""
SEVERITIES = ("error", "warning", "note")
SHOWN = 3  # files, or groups of copies, named of a finding


@dataclass(frozen=True)
class Report:
    """What was looked at, and what was found, the worst first."""

    note: str
    domains: tuple[str, str]
    """The sizes and modes of A and B, in a line each."""
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(finding.severity == "error" for finding in self.findings)

    def tree(self) -> dict[str, Any]:
        """Return all of it as plain values, for JSON."""
        found = [{**vars(finding), "files": finding.files, "count": len(finding.files)} for finding in self.findings]
        return {"found": self.note, "domains": self.domains, "findings": found}

    def text(self, folder: str) -> str:
        """Return all of it; files are named as they are called within `folder`."""
        lines = [self.note, *self.domains]
        for finding in self.findings:
            named = [" = ".join(_name(file, folder) for file in group[:SHOWN]) for group in finding.groups[:SHOWN]]
            more = [f"and {len(finding.groups) - SHOWN} more"] * (len(finding.groups) > SHOWN)
            parts = filter(None, [finding.what, *named, *more, finding.remedy])
            lines += ["", f"{finding.severity}: " + "\n  ".join(parts)]
        return "\n".join(lines if self.findings else [*lines, "", "nothing found"])


def check(data: DataConfig, *, track: Track = lambda items, total: items) -> Report:
    """Look at all images that a configuration names, and say what is wrong with them; raises as `find_splits` does."""
    splits = find_splits(data)
    survey = look_around(splits, data, track)
    found = [finding for each in CHECKS for finding in each(survey)]
    worst_first = sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))
    return Report(splits.note, (_facts(survey, "A"), _facts(survey, "B")), tuple(worst_first))


def _facts(survey: Survey, domain: str) -> str:
    looks = survey.sound(domain)
    sizes, modes = Counter(f"{w}x{h}" for w, h in (look.size for look in looks)), Counter(look.mode for look in looks)
    return f"{domain}: {_most(sizes)}; {_most(modes)}"


def _most(counts: Counter[str]) -> str:
    """Return the three most frequent of what was counted, and how many others there are."""
    shown = ", ".join(f"{count} of {name or 'no known mode'}" for name, count in counts.most_common(3))
    return shown + (f", {len(counts) - 3} others" if len(counts) > 3 else "")


def _name(file: str, folder: str) -> str:
    """Return a file's name within the folder; in quotes if a terminal could not show it."""
    short = os.path.relpath(file, folder) if folder and file.startswith(folder + os.sep) else file
    return short if short.isprintable() else ascii(short)
