"""The command line. Arguments are parsed before torch is imported; each command calls one function.

Annotations in this folder are not postponed (no `from __future__`): typer would evaluate each of them three times, a
third of the time until a help text.

Exit status: 0 done; 1 something could not be done; 2 wrong command or configuration; 130 interrupted.
"""

import importlib
import io
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Optional, TextIO

import typer

from viceversa.cli.options import LAYOUT, option

UsageError: type[Exception] = typer.BadParameter.__bases__[0]  # click's, which typer does not hand on
INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 and SIGINT's number."""

COMMANDS = {  # in the order of the help text
    "train": "train.train",
    "translate": "translate.translate",
    "evaluate": "report.evaluate",
    "serve": "serve.serve",
    "demo": "train.demo",
    "export": "export.export",
    "distill": "export.distill",
    "push": "export.push",
    "import": "translate.import_weights",
    "report": "report.report",
    "doctor": "report.doctor",
    "compare": "report.compare",
    "grid": "report.grid",
    "studio": "serve.studio",
    "info": "report.info",
    "config": "train.show_config",
    "presets": "train.presets",
    "data": "data.app",
}


def main() -> None:
    """Run the command line."""
    sys.path.append("")  # as `python -m` does: generator.name=my_lab:Mine may lie beside the user's data
    outlive_readers()
    with one_line():
        words = sys.argv[1:] or ["--help"]
        status = program(words)(words, standalone_mode=False) or 0
        if status == INTERRUPTED:  # so typer answers Ctrl-C, without a word
            raise KeyboardInterrupt
        sys.exit(status)


def program(words: Sequence[str] = ()) -> typer.Typer:
    """Return the command that the words name, or all; the modules of others are not imported."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, context_settings=LAYOUT)
    app.callback()(options)
    for name in next(([word] for word in words if word in COMMANDS), list(COMMANDS)):
        module, function = COMMANDS[name].split(".")
        command = getattr(importlib.import_module(f"viceversa.cli.{module}"), function)
        app.add_typer(command, name=name) if isinstance(command, typer.Typer) else app.command(name)(command)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        from viceversa import __version__

        typer.echo(f"viceversa {__version__}")
        raise typer.Exit


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
    for module in modules or []:
        try:
            importlib.import_module(module)
        except (ImportError, ValueError, TypeError) as error:
            raise typer.BadParameter(f"{module}: cannot be imported ({error})") from None


@contextmanager
def one_line() -> Iterator[None]:
    """End the program with one line for what the user can put right.

    That is wrong arguments, files that cannot be read or written, and a ValueError that our own code raised, with its
    remedy. Anything else is a bug, here or in a library, and shows its traceback. With VICEVERSA_DEBUG=1 in the
    environment everything shows its traceback.
    """
    try:
        yield
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("viceversa: interrupted", err=True)
        sys.exit(INTERRUPTED)
    except (UsageError, ValueError, OSError) as error:
        if os.environ.get("VICEVERSA_DEBUG") or not _is_for_the_user(error):
            raise
        from viceversa.config import ConfigError

        typer.echo(f"viceversa: {_message(error)}", err=True)
        sys.exit(2 if isinstance(error, (UsageError, ConfigError)) else 1)


class _Output(io.FileIO):
    """A stream whose reader may go away (a closed pipe, a dead terminal, a full disk): the work goes on without it."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())  # for libraries that write there themselves, too
            os.close(nowhere)
            return memoryview(data).nbytes


def outlive_readers() -> None:
    """Let the program write to standard output and error whatever becomes of them, and any character."""
    sys.stdout, sys.stderr = _lasting(sys.stdout), _lasting(sys.stderr)


def _lasting(stream: TextIO | None) -> TextIO:
    if stream is None:  # closed before we began
        return open(os.devnull, "w", encoding="utf-8")
    try:
        raw = _Output(stream.fileno(), "w", closefd=False)
    except (OSError, ValueError):  # no file of the system, as in a notebook
        return stream
    by_line = bool(stream.line_buffering)
    return io.TextIOWrapper(io.BufferedWriter(raw), stream.encoding, "backslashreplace", line_buffering=by_line)


def _is_for_the_user(error: Exception) -> bool:
    """Whether the message says what the user can do; a ValueError from inside torch or numpy does not."""
    if not isinstance(error, ValueError):
        return True
    *_, (frame, _line) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).partition(".")[0] == "viceversa"


def _message(error: Exception) -> str:
    if isinstance(error, UsageError):
        context = getattr(error, "ctx", None)
        message: str = error.format_message()  # type: ignore[attr-defined]
        for theirs, ours in (("Value error, ", ""), ("Input should", "it should"), (". Did you", "; did you")):
            message = message.replace(theirs, ours)
        message = message.rstrip(".")
        help_ = "" if message.endswith("?") else f"; see {context.command_path if context else 'viceversa'} --help"
        text = f"{message[:1].lower()}{message[1:]}{help_}"
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror.lower()}" if error.filename else error.strerror.lower()
    else:
        text = str(error)
    return " ".join(text.split())
