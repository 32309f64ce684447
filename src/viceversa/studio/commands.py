"""Long things are viceversa commands in processes of their own: a bar shows how far they are, a button ends them."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from asyncio import StreamReader
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from nicegui import ui

from viceversa.studio.frame import button, tagged

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # what a terminal draws with
PERCENT = re.compile(r"(\d+)%")


async def run_command(words: Sequence[str], folder: Path, what: str, module: str = "viceversa") -> str:
    """Run a command in a folder, show its progress where the page is being made, and return what it printed.

    Raises ValueError, with its last complaint, if it printed nothing, and if it was cancelled; a page that is closed
    cancels. One that prints what it did, and complains of a part, has not failed.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *words),
        cwd=folder,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        env=os.environ | {"TTY_COMPATIBLE": "1"},  # rich draws its bar for us, too
    )
    assert process.stdout
    assert process.stderr
    cancelled = asyncio.Event()

    def cancel() -> None:
        cancelled.set()
        with suppress(ProcessLookupError):
            process.terminate()

    with ui.element("div").classes("progress").props('role="status"') as shown:
        bar = ui.linear_progress(show_value=False).props('indeterminate aria-label="Progress"')
        text = tagged("span", f"{what} …", "quiet")
        button("Cancel", cancel, "quiet")
    ui.context.client.on_delete(cancel)

    def update(percent: str) -> None:
        bar.props(remove="indeterminate").set_value(int(percent) / 100)
        text.set_text(f"{what} … {percent} %")

    try:
        printed, complaints = await asyncio.gather(process.stdout.read(), _followed(process.stderr, update))
        await process.wait()
    finally:
        if not shown.is_deleted:
            shown.delete()
    if cancelled.is_set() and process.returncode:
        raise ValueError("Cancelled.")
    if not printed.strip() and process.returncode:
        raise ValueError((complaints or [f"{words[0]} failed"])[-1].removeprefix("viceversa: "))
    return printed.decode("utf-8", "replace").strip()


async def _followed(stream: StreamReader, update: Callable[[str], None]) -> list[str]:
    """Read what is written, pass each share of a bar on, and return the other lines."""
    text = ""
    while piece := await stream.read(4096):
        text = f"{text}{piece.decode('utf-8', 'replace')}"[-(2**16) :]
        if shares := PERCENT.findall(text):
            update(shares[-1])
    lines = re.split(r"[\r\n]+", CONTROL.sub("", text))
    return [line for line in lines if line.strip() and not PERCENT.search(line)]
