"""`viceversa config`, `viceversa info` and `viceversa presets`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from viceversa.cli.options import Model, Overrides, Preset, Source, argument, echo, group, words

presets = group("List, show or copy the presets.")


def show_config(source: Source = None, overrides: Overrides = None) -> None:
    """Print all keys with their values and meaning.

    \b
    viceversa config
    viceversa config pix2pix data.root=datasets/facades > facades.yaml
    """
    from viceversa.config import load_words

    config = load_words(words(source, overrides))
    from viceversa.info import resolved

    echo(resolved(config).rstrip("\n"))


def info(model: Model) -> None:
    """Describe a run or a weights file.

    Prints its method, networks, number of parameters, receptive field, and the steps done.
    """
    from viceversa.info import describe

    echo(describe(model))


@presets.command("list")
def list_presets() -> None:
    """List the presets with a line about each."""
    from viceversa.config import preset_titles

    echo("\n".join(f"{name:20}  {title}" for name, title in preset_titles().items()))


@presets.command("show")
def show_preset(name: Preset) -> None:
    """Print a preset as it stands."""
    from viceversa.config import preset_text

    echo(preset_text(name).rstrip("\n"))


@presets.command("copy")
def copy_preset(name: Preset, target: Annotated[Path, argument("FILE")]) -> None:
    """Copy a preset to a file of your own."""
    from viceversa import config

    path = config.copy_preset(name, target)
    typer.echo(f"{path}: written; try: viceversa train {shlex.quote(str(path))} data.root=FOLDER")
