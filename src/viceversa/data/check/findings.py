"""What a check finds: findings, and the facts they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One thing worth knowing about a data set."""

    severity: Severity
    """error: training or its scores would suffer; warning: look at it; note: good to know."""
    kind: str
    """A word for programs, such as "broken"."""
    what: str
    remedy: str = ""
    files: tuple[str, ...] = ()
    """The files it is about, all of them."""
    groups: tuple[tuple[str, ...], ...] = ()
    """The same files, where several belong together, as copies do."""


@dataclass(frozen=True)
class World:
    """The facts of one world's pictures, training and test together."""

    name: str
    train: int
    test: int
    sizes: dict[str, int]
    """How many pictures have which size, "width x height", the most frequent first."""
    modes: dict[str, int]
    """The same of Pillow's modes."""
    means: dict[str, float] = field(default_factory=dict)
    """Means over the pictures, 0 to 255: brightness, contrast, border; red, green, blue."""


@dataclass(frozen=True)
class Report:
    """What was looked at, and what was found, the worst first."""

    note: str
    quick: bool
    worlds: tuple[World, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(finding.severity == "error" for finding in self.findings)

    def tree(self) -> dict[str, Any]:
        """Return all of it as plain values, for JSON."""
        return {
            "found": self.note,
            "quick": self.quick,
            "worlds": [vars(world) for world in self.worlds],
            "findings": [{**vars(finding), "count": len(finding.files)} for finding in self.findings],
        }


def about(groups: Sequence[tuple[str, ...]], severity: Severity, kind: str, what: str, remedy: str) -> Finding:
    """Return a finding about groups of files."""
    files = tuple(dict.fromkeys(name for group in groups for name in group))
    apart = tuple(group for group in groups if len(group) > 1)
    return Finding(severity, kind, what, remedy, files, apart)


def counted(count: int, noun: str = "picture") -> str:
    """Return "1 picture", "2 pictures"."""
    return f"{count} {noun}{'s' * (count != 1)}"


def ordered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Sort by severity, and keep the order otherwise."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))
