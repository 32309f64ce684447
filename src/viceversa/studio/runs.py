"""The page Runs: what was trained in this workspace, and what can be done with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from nicegui import run, ui
from pydantic import ByteSize

from viceversa.report.samples import spread
from viceversa.studio import frame
from viceversa.studio.commands import run_command
from viceversa.studio.files import address, download
from viceversa.studio.frame import button, show_command, tagged
from viceversa.studio.workspace import TRASH, disk_used

if TYPE_CHECKING:
    from viceversa.studio import Studio

FORMATS = {"onnx": "ONNX, for other programs", "safetensors": "One file of weights", "web": "A web page (needs npm)"}
FACES = 3  # thumbnails of a card


def describe(path: Path) -> tuple[str | None, list[str]]:
    """Return how a run ended, and what it is and its best score, in words."""
    from viceversa.engine.run_dir import read_run
    from viceversa.report.samples import read_frames
    from viceversa.report.scores import best, histories, sample_histories

    try:
        record = read_run(path)
    except (OSError, ValueError) as error:
        return "broken", [str(error)]
    words = [f"{record.config.method['name']}, {record.config.data.crop} px, {record.step:,} steps"]
    last = replace(record, sample_steps=record.sample_steps[-1:])
    for score in [best(history) for history in histories(record) or sample_histories(read_frames(last))][:1]:
        words += [f"{score.metric.partition('[')[0].upper()} {score.value:.4g}{score.words.unit}, {score.way}"]
    return record.ended, words


class RunsPage:
    """The runs of the workspace, and which are marked."""

    def __init__(self, studio: Studio, _run: str) -> None:
        self.studio, self.workspace = studio, studio.workspace
        self.marked: list[str] = []

    async def show(self) -> None:
        """Make the page."""
        frame.title("Runs")
        names = self.workspace.runs()
        if not names:
            tagged("p", "Nothing was trained in this folder yet.", "lead")
            ui.link("Train a model", "/train").classes("plain main")
        with ui.element("div").classes("bar"):
            self.compare_button = button("Compare two", self.compare)
            self.compare_button.visible = len(names) > 1
            self.compare_button.disable()
        self.result = ui.element("div").classes("found")
        await ui.context.client.connected()
        with ui.element("div").classes("cards runs"):
            for name in names:
                with ui.element("article").classes("card run"):
                    await self.show_card(name)
        if trashed := self.workspace.trashed():
            with ui.expansion("Trash").classes("fold"):
                for name in trashed:
                    with ui.element("div").classes("bar"):
                        words = re.sub(r"-(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)\d\d$", r", deleted \1-\2-\3 at \4:\5", name)
                        tagged("span", words.removeprefix(f"{TRASH}/"), "grow")
                        button("Restore", lambda name=name: self.change(name, self.workspace.restore), "quiet")

    async def show_card(self, name: str) -> None:
        """Show a run: some samples, state, score, size, and what can be done with it."""
        path = self.workspace.path(name)
        samples = sorted(path.glob("samples/step-*"))[-1:]
        faces = [file for folder in samples for file in sorted(folder.glob("*-translation.png"))]
        with ui.link(target=frame.run_page(name)).classes("faces"):
            for file in spread(faces, FACES):
                frame.image(address(self.workspace, file), f"sample of {name}")
        ended, words = await run.io_bound(describe, path) or (None, [])
        state = self.studio.trainings.state(name, ended)
        with ui.element("div").classes("bar"):
            ui.link(name.removeprefix("runs/"), frame.run_page(name)).classes("run-name")
            tagged("span", state, f"pill {state.replace(' ', '-')}")
        for text in words:
            tagged("p", text)
        used = await run.io_bound(disk_used, path) or 0
        with ui.element("div").classes("bar"):
            ui.checkbox("Compare", on_change=lambda event: self.mark(name, bool(event.value)))
            tagged("span", ByteSize(used).human_readable(decimal=True, separator=" "), "quiet grow")
            with ui.button("More", color=None).props("flat no-caps").classes("plain quiet"), ui.menu():
                ui.menu_item("Report", lambda: ui.navigate.to(f"/report/{quote(name)}", new_tab=True))
                ui.menu_item("Export …", lambda: self.export(name))
                ui.menu_item("Rename …", lambda: self.rename(name))
                ui.menu_item("Move to the trash …", lambda: self.delete(name))

    def mark(self, name: str, wanted: bool) -> None:
        """Take a run into the comparison, or out of it."""
        self.marked = [other for other in self.marked if other != name] + [name] * wanted
        self.compare_button.set_enabled(len(self.marked) == 2)

    async def compare(self) -> None:
        """Write a page with both runs side by side."""
        out = self.workspace.name(self.workspace.fresh("results") / "comparison.html")
        with frame.errors_shown(self.result):
            words = ["compare", *self.marked, out]
            await run_command(words, self.workspace.root, "Comparing")
            ui.link("Open the comparison", f"/files/{out}", new_tab=True)
            show_command(words)

    async def export(self, name: str) -> None:
        """Ask for a format, and export."""
        ways = frame.ways(self.workspace.directions(name))
        with frame.dialog(f"Export {Path(name).name}") as dialog:
            form = ui.radio(FORMATS, value="onnx")
            direction = frame.toggle(ways, "Direction")
            direction.value = next(iter(ways), None)
            direction.bind_visibility_from(form, "value", lambda chosen: chosen != "web" and len(ways) > 1)
            frame.answers(dialog, "Export", lambda: form.value)
        if not (chosen := await dialog):
            return
        one_way = [] if chosen == "web" else ["--direction", str(direction.value)]
        out = f"exports/{Path(name).name}{f'-{direction.value}.{chosen}' if one_way else ''}"
        with frame.errors_shown(self.result):
            words = ["export", name, out, "--to", chosen, "--overwrite", *one_way]
            said = await run_command(words, self.workspace.root, "Exporting")
            tagged("p", f"Exported to {out}.")
            with ui.element("div").classes("bar"):
                button("Download", lambda: download(self.workspace, self.workspace.path(out)), "main")
            with ui.expansion("How near it is to the model, and how fast").classes("fold"):
                tagged("pre", said)
            show_command(words)

    async def rename(self, name: str) -> None:
        """Give a run another name."""
        with frame.dialog(f"Rename {name}") as dialog:
            new = ui.input("New name", value=Path(name).name)
            frame.answers(dialog, "Rename", lambda: str(new.value))
        if chosen := await dialog:
            self.change(name, lambda run: self.workspace.rename(run, chosen))

    async def delete(self, name: str) -> None:
        """Move a run to the trash folder."""
        with frame.dialog(f"Move {name} to the trash?") as dialog:
            tagged("p", "You can restore it there. To free the disk, empty the folder trash of the workspace yourself.")
            frame.answers(dialog, "Move to the trash", kind="danger")
        if await dialog:
            self.change(name, self.workspace.delete)

    def change(self, name: str, do: Callable[[str], object]) -> None:
        """Do something to the folder of a run that will not be trained further, and show what there is now."""
        with frame.errors_shown():
            if self.studio.trainings.of(name):
                raise ValueError(f"{name}: is in the queue; stop it first")
            do(name)
            ui.navigate.reload()
