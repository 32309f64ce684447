"""`viceversa config`, `viceversa presets` and `viceversa info`."""

from pathlib import Path
from typing import Annotated

import typer

from viceversa.cli.options import Model, Overrides, Preset, Source, argument, group

presets = group("List, show or copy the ready-made configurations.")


@presets.command("list")
def list_presets() -> None:
    """List the presets, a line each."""
    from viceversa.config import preset_titles

    for name, title in preset_titles().items():
        typer.echo(f"{name:20}  {title}")


@presets.command("show")
def show_preset(name: Preset) -> None:
    """Print a preset as it stands."""
    from viceversa.config import preset_text

    typer.echo(preset_text(name), nl=False)


@presets.command("copy")
def copy_preset(name: Preset, target: Annotated[Path, argument("FILE")]) -> None:
    """Copy a preset to a file of your own."""
    from viceversa import config

    path = config.copy_preset(name, target)
    typer.echo(f"{path}: written; try: viceversa train {path} data.root=FOLDER")


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
