"""`viceversa doctor`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from viceversa.cli.options import argument


def doctor(run: Annotated[Path, argument("RUN")]) -> None:
    """Say what is wrong with a training, and what to do.

    Looks at the samples and the log: inverted light and dark, tints, copies, collapse, checkerboards, discriminators
    that are too strong or blind, codes that say nothing. Exit status 1 if something is wrong.
    """
    from viceversa.engine.doctor import diagnose

    findings = diagnose(run)
    for finding in findings:
        typer.echo(f"{finding.severity}: {finding.finding}, since step {finding.since}: {finding.message}")
        typer.echo(f"  try: {finding.remedy}")
        typer.echo(f"  see: {run / finding.picture}" if finding.picture else "", nl=bool(finding.picture))
    if not findings:
        typer.echo(f"{run}: nothing found")
    sys.exit(bool(findings))
