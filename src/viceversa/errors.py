"""What the command line says, whoever listens: its output, its errors of one line, its exit status."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import typer

UsageError: type[Exception] = typer.BadParameter.__bases__[0]  # click's, which typer does not hand on

INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 and SIGINT's number."""


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


@contextmanager
def saved_when_interrupted(run: str) -> Iterator[None]:
    """End the program, with 128 and the signal's number, when a training was asked to stop and has saved."""
    from viceversa.engine.interrupt import Interrupted

    try:
        yield
    except Interrupted as stop:
        typer.echo(f"viceversa: {run}: saved; the same command again continues", err=True)
        sys.exit(128 + stop.signum)


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
