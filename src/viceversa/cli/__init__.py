"""The command line. Arguments are parsed before torch is imported; each command calls one function.

Annotations in this folder are not postponed (no `from __future__`): typer would evaluate each of them three times, a
third of the time until a help text.

Exit status: 0 done; 1 something could not be done; 2 wrong command or configuration; 130 interrupted.
"""

import importlib
import sys
from typing import Annotated, Optional

import typer

from viceversa.cli import config, data, evaluate, export, report, train, translate
from viceversa.cli.options import LAYOUT, option
from viceversa.errors import INTERRUPTED, one_line, outlive_readers

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, context_settings=LAYOUT)


def main() -> None:
    """Run the command line."""
    sys.path.append("")  # as `python -m` does: generator.name=my_lab:Mine may lie beside the user's data
    outlive_readers()
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


def _import(modules: list[str]) -> None:
    for module in modules:
        try:
            importlib.import_module(module)
        except (ImportError, ValueError, TypeError) as error:
            raise typer.BadParameter(f"{module}: cannot be imported ({error})") from None


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
    modules: Annotated[
        Optional[list[str]],
        option("--import", metavar="MODULE", help="Import your module, so that files may name its classes."),
    ] = None,
) -> None:
    """Learn to translate images from one domain to another, and vice versa.

    \b
    See it work:  viceversa demo
    Train:        viceversa train cyclegan data.root=datasets/horse2zebra
    Use it:       viceversa translate runs/cyclegan-horse2zebra photos out
    """
    _import(modules or [])


app.command()(train.train)
app.command()(translate.translate)
app.command()(evaluate.evaluate)
app.command()(train.demo)
app.command()(export.export)
app.command()(export.distill)
app.command()(export.push)
app.command("import")(translate.import_weights)
app.command()(report.report)
app.command()(report.doctor)
app.command()(report.compare)
app.command()(report.grid)
app.command()(config.info)
app.command("config")(config.show_config)
app.command()(config.presets)
app.add_typer(data.app, name="data")
