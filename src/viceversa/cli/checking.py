"""`viceversa data check`."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from viceversa.cli.options import Overrides, argument, option, track

if TYPE_CHECKING:
    from viceversa.config import Config
    from viceversa.data.check import Finding, Report
    from viceversa.estimate import Estimate

SHOWN = 3  # files named of a finding
COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan"}

Place = Annotated[Optional[str], argument("ROOT|PRESET")]


def check_data(
    place: Place = None,
    overrides: Overrides = None,
    quick: Annotated[bool, option("--quick", help="Read headers only: seconds for a hundred thousand files.")] = False,
    as_json: Annotated[bool, option("--json", help="Print the report as JSON.")] = False,
    time: Annotated[bool, option("--time", help="Also measure how long training would take here.")] = False,
    sheet: Annotated[Optional[Path], option(metavar="FILE.png", help="Write 5 x 5 pictures of each world.")] = None,
) -> None:
    """Find what is wrong with a data set before training does.

    Broken and flat pictures, copies, test pictures that training sees, sizes, pairs that do not match, worlds that
    differ in more than they should. Exit status 1 if there are errors. Takes a folder, or what `viceversa train` takes.

    \b
    viceversa data check datasets/horse2zebra
    viceversa data check datasets/facades data.crop=128 --sheet facades.png
    viceversa data check data.a=photos data.b=drawings --json
    viceversa data check pix2pix data.root=datasets/facades --quick --time
    """
    config = _configured(place, overrides or [])
    from viceversa.data.check import check

    report = check(config.data, quick=quick, track=track)
    if sheet:
        _write_sheet(config, sheet)
    measured = _measured(config) if time else None
    if as_json:
        typer.echo(json.dumps({**report.tree(), **({"time": vars(measured)} if measured else {})}, indent=2))
    else:
        _show(report, os.path.expanduser(config.data.root or ""))
        if measured:
            typer.echo(f"\ntime: {measured}")
    sys.exit(bool(report.errors))


def _configured(place: str | None, words: list[str]) -> "Config":
    """A folder that is no run stands for data.root=FOLDER."""
    from viceversa.config import load_words

    first = [place] if place is not None else []
    if place is not None and "=" not in place and Path(place).is_dir() and not Path(place, "config.yaml").is_file():
        first = [f"data.root={place}"]
    return load_words([*first, *words])


def _measured(config: "Config") -> "Estimate":
    from viceversa.estimate import estimate

    return estimate(config)


def _write_sheet(config: "Config", path: Path) -> None:
    from viceversa.data.check.contact import contact_sheet
    from viceversa.files import replacing

    picture = contact_sheet(config.data)
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG")


def _show(report: "Report", folder: str) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    console.print(report.note, markup=False)
    table = Table("", "train", "test", "sizes", "modes", "brightness", "contrast", box=None, pad_edge=False)
    for column in (1, 2, 5, 6):
        table.columns[column].justify = "right"
    for world in report.worlds:
        means = [f"{world.means[key]:.0f}" if key in world.means else "" for key in ("brightness", "contrast")]
        table.add_row(world.name, str(world.train), str(world.test), _most(world.sizes), _most(world.modes), *means)
    console.print(table, soft_wrap=False)
    for finding in report.findings:
        console.print(f"\n[{COLOURS[finding.severity]}]{finding.severity}[/]: ", end="")
        console.print(_text(finding, folder), markup=False)
    if not report.findings:
        console.print("\nnothing to complain of" + " in the headers" * report.quick)


def _most(counts: dict[str, int]) -> str:
    """The two most frequent of what was counted, "256x256 1067, 300x200 12", and how many others there are."""
    shown = ", ".join(f"{name} {count}" for name, count in list(counts.items())[:2])
    return shown + (f", {len(counts) - 2} others" if len(counts) > 2 else "")


def _text(finding: "Finding", folder: str) -> str:
    """What was found, a line for the first files or groups of copies, and what to do."""
    named = [[_name(file, folder) for file in group] for group in finding.groups or [(file,) for file in finding.files]]
    lines = [finding.what]
    if finding.groups:
        lines += [f"  {' = '.join(group[:SHOWN])}{' = ...' * (len(group) > SHOWN)}" for group in named[:SHOWN]]
        lines += [f"  and {len(named) - SHOWN} more"] * (len(named) > SHOWN)
    elif named:
        more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
        lines.append(f"  {', '.join(name for (name,) in named[:SHOWN])}{more}")
    return "\n".join([*lines, f"  {finding.remedy}"] if finding.remedy else lines)


def _name(file: str, folder: str) -> str:
    """A file's name within the folder; in quotes if a terminal could not show it."""
    short = os.path.relpath(file, folder) if folder and file.startswith(folder + os.sep) else file
    return short if short.isprintable() else ascii(short)
