"""`viceversa report`, `doctor`, `compare`, `grid` and `info`."""

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from viceversa.cli.options import Model, Run, argument, option


def report(run: Run) -> None:
    """Write a run's page, report.html.

    One file that needs no network: images before and after, how they changed during the training, scores, curves,
    what to try next, the configuration, and the command to repeat it. Also works while the training is running.
    """
    from viceversa import report

    path = report.write(run)
    typer.echo(f"{path}: written, {path.stat().st_size / 1e6:.1f} MB")


def compare(words: Annotated[list[Path], argument("RUN|OUT.html")]) -> None:
    """Write a page that compares runs.

    Name the runs, then the page to write. It shows what each run makes of the same test images (those of the first
    run's data), scores, and how the configurations differ.

    \b
    viceversa compare runs/cyclegan runs/cut comparison.html
    """
    from viceversa.report.compare import compare

    *runs, out = words
    compare(runs, out)
    typer.echo(f"{out}: written, {out.stat().st_size / 1e6:.1f} MB")


def doctor(run: Run) -> None:
    """Find out what is wrong with a training, and what to do about it.

    Looks at the samples and the log for inverted brightness, tints, copies, collapse, checkerboards, discriminators
    that are too strong or learn nothing, empty codes. Exit status 1 if something is wrong.
    """
    from viceversa.engine.diagnostics import diagnose

    findings = diagnose(run)
    for finding in findings:
        typer.echo(f"{finding.severity}: {finding.finding}, since step {finding.since}: {finding.message}")
        typer.echo(f"  try: {finding.remedy}")
        typer.echo(f"  see: {run / finding.picture}" if finding.picture else "", nl=bool(finding.picture))
    if not findings:
        typer.echo(f"{run}: nothing found")
    sys.exit(bool(findings))


def grid(
    run: Run,
    out: Annotated[Path, option(metavar="FILE", help="Figure to write, a .png.")],
    rows: Annotated[int, option(metavar="N", min=1, help="Number of test images, evenly spread.", show=True)] = 6,
    pick: Annotated[Optional[str], option(metavar="N,N", help="These test images instead, counted from 1.")] = None,
    columns: Annotated[str, option(metavar="NAMES", help="Columns, in this order.", show=True)] = "input,AtoB",
    labels: Annotated[Optional[str], option(metavar="TEXTS", help="Labels of the columns.")] = None,
    width: Annotated[float, option(metavar="INCHES", min=0.5, help="Width in print.", show=True)] = 6.9,
    dpi: Annotated[int, option(metavar="N", min=30, help="Pixels per inch, at least.", show=True)] = 300,
) -> None:
    """Make a figure for a paper.

    Columns: input, AtoB or BtoA, cycle (there and back), mask (where it paints), truth. Images are enlarged by whole
    pixels, so that nothing is lost.

    \b
    viceversa grid runs/h2z --rows 4 --columns input,AtoB,cycle --out figure.png
    viceversa grid runs/h2z --pick 3,7 --labels Horse,Zebra --out figure.png
    """
    from viceversa.report import figure

    names = [name.strip() for name in columns.split(",")]
    found = figure.columns_of(run, names, rows, figure.numbers(pick) if pick else [])
    shown = figure.labelled(found, labels.split(",") if labels else [])
    drawn = figure.write(out, shown, width=width, dpi=dpi)
    typer.echo(f"{out}: {drawn.width} x {drawn.height} pixels, {width:g} inches wide at {drawn.width / width:.0f} dpi")


def info(model: Model) -> None:
    """Describe a run or a weights file.

    Prints its method, networks, number of parameters, receptive field, and the steps done.
    """
    from viceversa.info import describe

    typer.echo(describe(model))
