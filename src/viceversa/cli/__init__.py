"""The command line. Arguments are parsed before torch is imported; each command calls one function.

Annotations in this folder are not postponed (no `from __future__`): typer would evaluate each of them three times, a
third of the time until a help text.

Exit status: 0 done; 1 something could not be done; 2 wrong command or configuration; 130 interrupted.
"""

import os
import sys
from typing import Annotated

import typer

from viceversa.cli import benchmarking, data, evaluate, presets, report, showing, training, translate, trusting
from viceversa.cli.words import LAYOUT
from viceversa.errors import INTERRUPTED, one_line

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, context_settings=LAYOUT)


def main() -> None:
    """Run the command line."""
    sys.path.append(os.getcwd())  # as `python -m` does: generator.name=my_lab:Mine may lie beside the user's data
    with one_line():
        status = app(sys.argv[1:] or ["--help"], standalone_mode=False) or 0
        if status == INTERRUPTED:  # so typer answers Ctrl-C, without a word
            raise KeyboardInterrupt
        sys.exit(status)


def _version(wanted: bool) -> None:
    if wanted:
        from viceversa import __version__

        typer.echo(f"viceversa {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Learn to translate images from one world to another, and vice versa.

    \b
    See it work:  viceversa demo
    Train:        viceversa train cyclegan data.root=datasets/horse2zebra
    Use it:       viceversa translate runs/cyclegan-horse2zebra photos out
    """


app.command()(training.train)
app.command()(translate.translate)
app.command()(evaluate.evaluate)
app.command()(training.demo)
app.command("import")(translate.import_weights)
app.command()(report.report)
app.command()(showing.doctor)
app.command()(report.compare)
app.command()(report.grid)
app.command()(showing.info)
app.command("config")(showing.show_config)
app.command()(benchmarking.bench)
app.command()(trusting.trust)
app.add_typer(presets.app, name="presets")
app.add_typer(data.app, name="data")
