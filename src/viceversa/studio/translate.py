"""The page Translate: pictures in, pictures out, with any run or file of the workspace."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from nicegui import run, ui

from viceversa.studio import frame
from viceversa.studio.frame import button, show_command, tagged
from viceversa.studio.tasks import Work, progress
from viceversa.studio.uploads import DropZone
from viceversa.studio.workspace import in_bytes
from viceversa.translate import TranslateOptions, TranslateResult, translate_images
from viceversa.translate.files import VIDEOS, plan

if TYPE_CHECKING:
    from viceversa.studio import Studio

SHOWN = 48  # results on the page


class TranslatePage:
    """What was chosen on the page, and what came of it."""

    def __init__(self, studio: Studio, model: str) -> None:
        self.studio, self.workspace = studio, studio.workspace
        self.model, self.inputs, self.direction = model, "", ""
        self.strength, self.size, self.samples = 100, 0, 0

    def show(self) -> None:
        """Make the page."""
        models = self.workspace.models()
        frame.title("Translate pictures")
        if not models:
            tagged("p", "There is no model in this folder yet. Train one: it takes two folders of pictures.", "lead")
            ui.link("Train a model", "/train").classes("plain main")
            return
        self.model = self.model if self.model in models else models[0]
        with ui.element("div").classes("bench"):
            with ui.element("div").classes("card controls"):
                model = ui.select(models, label="Model").bind_value(self, "model")
                self.directions = ui.element("div")
                model.on_value_change(self.refresh_directions)
                self.refresh_directions()
                DropZone(self.studio, "Drop pictures, a video or a zip", self.take)
                ui.input("or a folder or file of the workspace").bind_value(self, "inputs")
                with ui.element("label"):
                    tagged("span", "Strength, %")
                    ui.slider(min=0, max=100, step=5).props("label").bind_value(self, "strength")
                self.go = button("Translate", self.translate, "main")
            self.gallery = ui.element("div").classes("gallery-side")
        with self.gallery:
            tagged("p", "The translations appear here.", "quiet empty")

    def refresh_directions(self) -> None:
        """Offer the directions of the model."""
        found = self.workspace.directions(self.model)
        self.direction = found[0] if found else ""
        self.directions.clear()
        if len(found) > 1:
            with self.directions:
                ways = {direction: direction.replace("to", " → ") for direction in found}
                ui.toggle(ways).props("no-caps").bind_value(self, "direction")

    def take(self, folder: Path) -> None:
        """Translate what was just uploaded."""
        self.inputs = self.workspace.name(folder)
        ui.timer(0.1, self.translate, once=True)

    async def translate(self) -> None:
        """Translate, and show the results."""
        with frame.errors_shown():
            source = self.workspace.existing(self.inputs)
            out = self.workspace.fresh("results")
            options = TranslateOptions(
                direction=self.direction or None,  # type: ignore[arg-type]  # from the run's own list
                strength=self.strength / 100,
                size=int(self.size) or None,
                samples=int(self.samples) or None,
            )
            work = Work()
            model = self.workspace.existing(self.model)
            self.gallery.clear()
            with self.gallery, progress(work, "Loading the model …"):
                result = await run.io_bound(translate_images, model, [str(source)], out, options, work.track)
            if result:
                self.show_results(source, out, options, result)

    def show_results(self, source: Path, out: Path, options: TranslateOptions, result: TranslateResult) -> None:
        """Show a gallery of what was made."""
        written = set(result.written)
        pairs = [pair for pair in plan([str(source)], out) if pair[1] in written]
        with self.gallery:
            with ui.element("div").classes("bar"):
                tagged("span", f"{len(pairs)} translated {result.direction.replace('to', ' → ')}")
                button("Download all", lambda: self.download_all(out), "quiet")
            for file, reason in result.failed.items():
                tagged("p", f"{file.name}: {reason}", "finding warning")
            with ui.element("div").classes("cards results"):
                for file, output in pairs[:SHOWN]:
                    for path in options.outputs(output):
                        self.show_one(file, path)
            words = [self.workspace.name(source), "OUT", *self.flags()]
            show_command(["translate", self.model, *words])

    def show_one(self, before: Path, after: Path) -> None:
        """Show one result with its download."""
        names = [self.workspace.name(path) for path in (before, after)]
        with ui.element("figure").classes("result"):
            if after.suffix.lower() in VIDEOS:
                ui.html(f'<video controls src="/files/{names[1]}"></video>', sanitize=False)
            else:
                addresses = [frame.picture(name, self.workspace.path(name).stat().st_mtime, 1024) for name in names]
                frame.before_after(addresses[0], addresses[1], before.name)
            with ui.element("figcaption"):
                tagged("span", f"{after.name}, {in_bytes(after.stat().st_size)}")
                button("Download", lambda: ui.download.from_url(f"/files/{names[1]}?download=1"), "quiet")

    def flags(self) -> list[str]:
        """Return the options as words of the command."""
        found = ["--direction", self.direction] if self.direction else []
        found += ["--strength", f"{self.strength / 100:g}"] if self.strength < 100 else []
        found += ["--size", str(int(self.size))] if self.size else []
        return found + (["--samples", str(int(self.samples))] if self.samples else [])

    async def download_all(self, out: Path) -> None:
        """Send all results as a zip."""
        archive = await run.io_bound(shutil.make_archive, str(out), "zip", out)
        if archive:
            name = self.workspace.name(Path(archive))
            ui.download.from_url(f"/files/{name}?download=1")


async def page(studio: Studio, run: str) -> None:
    """Make the page, with a run chosen if one is named."""
    TranslatePage(studio, run).show()
