"""The command line. Arguments are parsed before torch is imported; each command calls one function.

Exit status: 0 done; 1 something could not be done; 2 the command or the configuration is wrong; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Optional, TypeVar

import typer

PLAIN = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, context_settings=PLAIN)
presets_app = typer.Typer(rich_markup_mode=None, help="List, show or copy the ready-made configurations.")
data_app = typer.Typer(rich_markup_mode=None, help="Make data sets.")
UsageError: type[Exception] = typer.BadParameter.__bases__[0]  # click's, which newer typers keep to themselves


def _complete_preset(incomplete: str) -> list[str]:
    from viceversa.config import presets

    return [name for name in presets() if name.startswith(incomplete)]


T = TypeVar("T")
Words = Annotated[
    Optional[list[str]],
    typer.Argument(metavar="[PRESET | CONFIG.yaml] [KEY=VALUE]...", show_default=False, autocompletion=_complete_preset),
]
Preset = Annotated[str, typer.Argument(metavar="PRESET", autocompletion=_complete_preset)]
Model = Annotated[Path, typer.Argument(metavar="RUN|WEIGHTS", help="Folder of a run, or a .safetensors file.")]


def main() -> None:
    """Run the command line; whatever goes wrong for the user is one line on stderr.

    One line is enough for wrong arguments, for files that cannot be read or written, and for a ValueError that our own
    code raised, with its remedy. Anything else is a bug, ours or a library's, and shows its traceback. With
    VICEVERSA_DEBUG=1 in the environment everything shows its traceback.
    """
    try:
        status = app(sys.argv[1:] or ["--help"], standalone_mode=False)
        sys.exit(status or 0)
    except typer.Abort:
        sys.exit(130)
    except UsageError as error:
        _fail(error, 2)
    except (ValueError, OSError) as error:
        from viceversa.config import ConfigError

        if not isinstance(error, OSError) and not _raised_by_us(error):
            raise
        _fail(error, 2 if isinstance(error, ConfigError) else 1)


def _fail(error: Exception, status: int) -> None:
    if os.environ.get("VICEVERSA_DEBUG"):
        raise error
    typer.echo(f"viceversa: {_one_line(error)}", err=True)
    sys.exit(status)
