"""`viceversa info` and `viceversa config`."""

from __future__ import annotations

import typer

from viceversa.cli.words import Model, Overrides, Source


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
