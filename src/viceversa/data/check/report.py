"""What a check finds: findings, the facts they rest on, both as text, and a contact sheet."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from viceversa.config import DataConfig
from viceversa.data.datasets import Sample
from viceversa.data.grid import INK, PAPER
from viceversa.data.image_data import ImageError, eight_bits, pil_image, with_channels
from viceversa.data.layouts import find_splits
from viceversa.files import replacing

Severity: TypeAlias = Literal["error", "warning", "note"]
COLOURS: dict[Severity, str] = {"error": "bold red", "warning": "yellow", "note": "cyan"}  # the worst first
SHOWN = 3  # files, or groups of copies, named of a finding
SIDE = 5  # images along a side of each half of the contact sheet
CELL, GAP, HEADER = 160, 4, 44  # its pixels


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
        if self.groups:
            named = [" = ".join([_name(file, folder) for file in group[:SHOWN]]) for group in self.groups[:SHOWN]]
            named = [line + " = ..." * (len(group) > SHOWN) for line, group in zip(named, self.groups, strict=False)]
            named += [f"and {len(self.groups) - SHOWN} more"] * (len(self.groups) > SHOWN)
        else:
            more = f" and {len(self.files) - SHOWN} more" if len(self.files) > SHOWN else ""
            named = [", ".join(_name(file, folder) for file in self.files[:SHOWN]) + more]
        return "\n  ".join(filter(None, [self.what, *named, self.remedy]))


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


def of_groups(
    groups: Sequence[tuple[str, ...]], severity: Severity, kind: str, what: str, remedy: str
) -> Iterator[Finding]:
    """Yield a finding about groups of files, if there are any; `what` goes after "3 images". Each file counts once."""
    if groups:
        files = tuple(dict.fromkeys(name for group in groups for name in group))
        apart = tuple(group for group in groups if len(group) > 1)
        yield Finding(severity, kind, f"{counted(len(files))} {what}", remedy, files, apart)


def counted(count: int, noun: str = "image") -> str:
    """Return "1 image", "2 images"."""
    return f"{count} {noun}{'s' * (count != 1)}"


def _most(counts: dict[str, int]) -> str:
    """Return the two most frequent of what was counted, "256x256 1067, 300x200 12", and how many others there are."""
    shown = ", ".join(f"{name} {count}" for name, count in list(counts.items())[:2])
    return shown + (f", {len(counts) - 2} others" if len(counts) > 2 else "")


def _name(file: str, folder: str) -> str:
    """Return a file's name within the folder; in quotes if a terminal could not show it."""
    short = os.path.relpath(file, folder) if folder and file.startswith(folder + os.sep) else file
    return short if short.isprintable() else ascii(short)


def write_contact_sheet(data: DataConfig, path: Path) -> None:
    """Write 5 x 5 training images of each domain, evenly spread, as PNG; partners of pairs are in the same places.

    Images keep their shape. The place of one that cannot be read stays empty.
    """
    train = find_splits(data).train
    block = SIDE * (CELL + GAP) + GAP
    sheet = Image.new("RGB", (2 * block + CELL // 8, HEADER + block), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=20)
    for domain, samples, channels in (("A", train.a, data.channels_a), ("B", train.b, data.channels_b)):
        start = 0 if domain == "A" else sheet.width - block
        label = f"{domain}: {len(samples):,} {'pairs' if train.paired else 'images'}"
        draw.text((start + block / 2, HEADER / 2), label, INK, font, anchor="mm")
        for place, i in enumerate(np.linspace(0, len(samples) - 1, min(len(samples), SIDE**2)).round().astype(int)):
            if tile := _tile(samples[i], channels):
                left, top = start + GAP + place % SIDE * (CELL + GAP), HEADER + place // SIDE * (CELL + GAP)
                sheet.paste(tile, (left + (CELL - tile.width) // 2, top + (CELL - tile.height) // 2))
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG")


def _tile(sample: Sample, channels: int) -> Image.Image | None:
    """Return an image that fits a cell, transparency laid on white; None if it cannot be read."""
    try:
        pixels = with_channels(sample.open(), 3 if channels == 4 else channels)
    except ImageError:
        return None
    shown = pixels if pixels.shape[2] in (1, 3) else pixels[:, :, : 1 if pixels.shape[2] == 2 else 3]
    return ImageOps.contain(pil_image(eight_bits(shown)), (CELL, CELL))
