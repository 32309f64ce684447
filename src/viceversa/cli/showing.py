"""`viceversa doctor`, `viceversa info` and `viceversa config`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from viceversa.cli.words import Model, Overrides, Source, argument


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


def info(model: Model) -> None:
    """Say what a run or a weights file is.

    Its method, networks, parameters, receptive field, and the steps done.
    """
    from viceversa.info import describe

    typer.echo(describe(model))


def show_config(source: Source = None, overrides: Overrides = None) -> None:
    """Print all keys, their values and meaning.

    \b
    viceversa config
    viceversa config pix2pix data.root=datasets/facades > facades.yaml
    """
    from viceversa.config import load_words

    config = load_words([*filter(None, [source]), *(overrides or [])])
    from viceversa.info import resolved

    typer.echo(resolved(config), nl=False)
