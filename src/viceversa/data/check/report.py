"""What a check finds: findings, the facts they rest on, and both as text."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "note"]
COLOURS: dict[Severity, str] = {"error": "bold red", "warning": "yellow", "note": "cyan"}  # the worst first
SHOWN = 3  # files, or groups of copies, named of a finding


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

    def text(self, folder: str) -> str:
        """Return what was found, a line for the first files or groups of copies, and what to do."""
        groups = self.groups or ((self.files,) if self.files else ())
        named = [[_name(file, folder) for file in group] for group in groups]
        lines = [self.what]
        if self.groups:
            lines += [f"  {' = '.join(group[:SHOWN])}{' = ...' * (len(group) > SHOWN)}" for group in named[:SHOWN]]
            lines += [f"  and {len(named) - SHOWN} more"] * (len(named) > SHOWN)
        else:
            lines += [f"  {', '.join(names[:SHOWN])}{_more(names)}" for names in named]
        return "\n".join([*lines, f"  {self.remedy}"] if self.remedy else lines)


@dataclass(frozen=True)
class Domain:
    """The facts of one domain's images, training and test together."""

    name: str
    train: int
    test: int
    sizes: dict[str, int]
    """How many images have which size, "width x height", the most frequent first."""
    modes: dict[str, int]
    """The same of Pillow's modes."""
    means: dict[str, float] = field(default_factory=dict)
    """Means over the images, 0 to 255: brightness, contrast, border; red, green, blue."""


@dataclass(frozen=True)
class Report:
    """What was looked at, and what was found, the worst first."""

    note: str
    quick: bool
    domains: tuple[Domain, ...]
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
            "domains": [vars(domain) for domain in self.domains],
            "findings": [{**vars(finding), "count": len(finding.files)} for finding in self.findings],
        }

    def show(self, folder: str) -> None:
        """Print all of it; files are named as they are called within `folder`."""
        from rich.console import Console
        from rich.table import Table

        console = Console(highlight=False, soft_wrap=True)
        console.print(self.note, markup=False)
        table = Table("", "train", "test", "sizes", "modes", "brightness", "contrast", box=None, pad_edge=False)
        for column in (1, 2, 5, 6):
            table.columns[column].justify = "right"
        for domain in self.domains:
            means = [f"{domain.means[key]:.0f}" if key in domain.means else "" for key in ("brightness", "contrast")]
            counts = str(domain.train), str(domain.test), _most(domain.sizes), _most(domain.modes)
            table.add_row(domain.name, *counts, *means)
        console.print(table, soft_wrap=False)
        for finding in self.findings:
            console.print(f"\n[{COLOURS[finding.severity]}]{finding.severity}[/]: ", end="")
            console.print(finding.text(folder), markup=False)
        if not self.findings:
            console.print("\nnothing found" + " in the headers" * self.quick)


def about(groups: Sequence[tuple[str, ...]], severity: Severity, kind: str, what: str, remedy: str) -> Finding:
    """Return a finding about groups of files."""
    files = tuple(dict.fromkeys(name for group in groups for name in group))
    apart = tuple(group for group in groups if len(group) > 1)
    return Finding(severity, kind, what, remedy, files, apart)


def counted(count: int, noun: str = "image") -> str:
    """Return "1 image", "2 images"."""
    return f"{count} {noun}{'s' * (count != 1)}"


def ordered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Sort by severity, and keep the order otherwise."""
    return tuple(sorted(findings, key=lambda finding: [*COLOURS].index(finding.severity)))


def _most(counts: dict[str, int]) -> str:
    """Return the two most frequent of what was counted, "256x256 1067, 300x200 12", and how many others there are."""
    shown = ", ".join(f"{name} {count}" for name, count in list(counts.items())[:2])
    return shown + (f", {len(counts) - 2} others" if len(counts) > 2 else "")


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""


def _name(file: str, folder: str) -> str:
    """Return a file's name within the folder; in quotes if a terminal could not show it."""
    short = os.path.relpath(file, folder) if folder and file.startswith(folder + os.sep) else file
    return short if short.isprintable() else ascii(short)
