"""Long things: how far they are, how to cancel them, and commands in processes of their own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nicegui import ui

from viceversa.studio.frame import button, tagged


class Cancelled(ValueError):
    """The user does not want to wait."""


class Work:
    """How far something is; `cancelled` ends it at the next item, and a process of its own at once."""

    def __init__(self) -> None:
        self.done, self.total, self.cancelled = 0, 0, False
        self.process: asyncio.subprocess.Process | None = None

    def track(self, items: Iterable[Any], total: int) -> Iterator[Any]:
        """Count the items that go through."""
        self.done, self.total = 0, total
        for item in items:
            if self.cancelled:
                raise Cancelled("cancelled; what was done until then is kept")
            self.done += 1
            yield item

    def cancel(self) -> None:
        """End it."""
        self.cancelled = True
        if self.process and self.process.returncode is None:
            self.process.terminate()

    async def run(self, words: Sequence[str], folder: Path, module: str = "viceversa") -> str:
        """Run a command in a process of its own and return what it said.

        Raises ValueError, with its last line, if it failed.
        """
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *words),
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await self.process.communicate())[0].decode("utf-8", "replace").strip()
        if self.cancelled:
            raise Cancelled("cancelled")
        if self.process.returncode:
            raise ValueError((said.splitlines() or [f"{words[0]} failed"])[-1].removeprefix("viceversa: "))
        return said


@contextmanager
def progress(work: Work, words: str) -> Iterator[None]:
    """Show how far some work is, and a button to cancel it, while the block runs."""
    with ui.element("div").classes("progress").props('role="status"') as shown:
        line = ui.linear_progress(show_value=False).props('indeterminate aria-label="Progress"')
        text = tagged("span", words, "quiet")
        button("Cancel", work.cancel, "quiet")

    def update() -> None:
        if work.total:
            line.props(remove="indeterminate")
            line.set_value(work.done / work.total)
            text.set_text(f"{work.done:,} of {work.total:,}")

    with shown:
        timer = ui.timer(0.3, update)
    try:
        yield
    finally:
        timer.cancel()
        if not shown.is_deleted:
            shown.delete()
