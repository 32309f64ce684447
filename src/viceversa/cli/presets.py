"""`viceversa presets`."""

from pathlib import Path
from typing import Annotated

import typer

from viceversa.cli.words import Preset, argument, group

app = group("List, show or copy the ready-made configurations.")


@app.command("list")
def list_presets() -> None:
    """List the presets, a line each."""
    from viceversa.config import preset_titles

    for name, title in preset_titles().items():
        typer.echo(f"{name:20}  {title}")


@app.command("show")
def show_preset(name: Preset) -> None:
    """Print a preset as it stands."""
    from viceversa.config import preset_text

    typer.echo(preset_text(name), nl=False)


@app.command("copy")
def copy_preset(name: Preset, target: Annotated[Path, argument("FILE")]) -> None:
    """Copy a preset to a file of your own."""
    from viceversa.config import copy_preset as copy

    path = copy(name, target)
    typer.echo(f"{path}: written; try: viceversa train {path} data.root=FOLDER")
