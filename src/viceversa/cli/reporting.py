"""`viceversa report`."""

from __future__ import annotations

import webbrowser
from typing import Annotated, Optional

import typer

from viceversa.cli.words import Run, option


def report(
    run: Run,
    serve: Annotated[bool, option("--serve", help="Show it in the browser, and keep it up to date.")] = False,
    port: Annotated[Optional[int], option(metavar="N", min=0, max=65535, help="Serve there; any free one.")] = None,
) -> None:
    """Write a run's page, report.html.

    One file that needs no network: pictures before and after, how they changed during the training, scores, curves,
    what to try next, configuration, how to do it again. Also works while the training goes on.

    \b
    viceversa report runs/h2z
    viceversa report runs/h2z --serve
    """
    from viceversa import page

    path = page.write(run)
    typer.echo(f"{path}: written, {path.stat().st_size / 1e6:.1f} MB")
    if not serve:
        return
    from viceversa.page.serve import Server

    with Server(run, port or 0) as server:
        typer.echo(f"serving {server.url} to this machine; Ctrl-C stops")
        if has_browser():
            webbrowser.open(server.url)
        server.serve_forever()


def has_browser() -> bool:
    """Whether somebody sits at a terminal and before a display."""
    import os
    import sys

    display = sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(sys.stdout.isatty() and display)
