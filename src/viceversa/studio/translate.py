"""The page Translate: pictures in, pictures out, with any run or file of the workspace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nicegui import run, ui

from viceversa.paths import weights_file
from viceversa.report.samples import spread
from viceversa.studio import frame
from viceversa.studio.commands import run_command
from viceversa.studio.files import DropZone, address, download
from viceversa.studio.frame import button, show_command, tagged
from viceversa.translate.files import VIDEOS

if TYPE_CHECKING:
    from viceversa.studio import Studio

SHOWN, EXAMPLES = 48, 6  # results on the page, and test pictures before there are any
LARGE = 1024  # pixels of a picture on the page
VARIATIONS = {0: "none", 2: "2", 4: "4", 8: "8"}


def traits(model: Path) -> tuple[int, bool]:
    """Return the pixels of the crops that a model was trained on, and whether it can draw variations; 0 if unknown."""
    from viceversa.nets import GENERATORS, VariationalGenerator
    from viceversa.nets.weights import read_card

    try:
        card = read_card(weights_file(model))
    except (ValueError, OSError):  # an exported file, or a broken one
        return 0, False
    kind = GENERATORS.get(str(card.generator["name"]))
    return card.size, kind is not None and issubclass(kind, VariationalGenerator)


class TranslatePage:
    """What was chosen on the page, and what came of it. `uploaded` is translated where no folder is named."""

    def __init__(self, studio: Studio, run: str) -> None:
        self.studio, self.workspace = studio, studio.workspace
        self.model, self.inputs, self.uploaded, self.direction = run, "", "", ""
        self.strength, self.size, self.samples = 100, 0, 0

    async def show(self) -> None:
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
                self.choices = ui.element("div").classes("controls inner")
                with ui.element("div"):
                    DropZone(self.studio, "Drop or paste pictures, a video or a zip", self.take)
                place = frame.folder_field("Or a folder or file", self.workspace.folders())
                place.bind_value(self, "inputs")
                frame.slider(self, "strength", "Strength", 100, lambda value: f"{value} %").props("step=5")
                self.go = button("Translate", self.translate, "main")
                with ui.expansion("For other programs").classes("fold"):
                    button("Offer this model at /translate", self.offer)
                    self.offered = ui.element("div")
            self.gallery = ui.element("div").classes("gallery-side")
        model.on_value_change(self.show_choices)
        await ui.context.client.connected()
        await self.show_choices()

    async def show_choices(self) -> None:
        """Offer what the model can: its directions, sizes near those it learned from, variations."""
        found = self.workspace.directions(self.model)
        trained, variational = await run.io_bound(traits, self.workspace.path(self.model)) or (0, False)
        self.direction, self.size, self.samples = found[0] if found else "", trained, 0
        self.choices.clear()
        with self.choices:
            if len(found) > 1:
                frame.toggle(frame.ways(found), "Direction").bind_value(self, "direction")
            sizes = {trained: f"{trained} px, as in training"} if trained else {}
            sizes |= {factor * trained: f"{factor * trained} px" for factor in (2, 4) if trained}
            ui.select({**sizes, 0: "as large as they are"}, label="Short side").bind_value(self, "size")
            if variational:
                ui.select(VARIATIONS, label="Variations").bind_value(self, "samples")
        self.show_examples()

    def show_examples(self) -> None:
        """Show what the model made of test pictures in its training, until there are others."""
        samples = self.workspace.path(self.model) / "samples"
        inputs = spread(sorted(samples.glob(f"inputs/{self.direction}-*-input.png")), EXAMPLES)
        latest = sorted(samples.glob("step-*"))[-1:]
        pairs = [(one, step / one.name.replace("input", "translation")) for step in latest for one in inputs]
        self.gallery.clear()
        with self.gallery:
            if pairs:
                tagged("p", "What the model makes of test pictures. Yours appear here.", "quiet")
            else:
                tagged("p", "Your pictures appear here.", "quiet empty")
            with ui.element("div").classes("cards results"):
                for pair in pairs:
                    if all(path.is_file() for path in pair):
                        before, after = (address(self.workspace, path) for path in pair)
                        frame.before_after(before, after, "test picture").classes("pixels")

    async def offer(self) -> None:
        """Let other programs use the model, as `viceversa serve` does."""
        with frame.errors_shown():
            await self.studio.offer(self.workspace.readable(self.model))
            self.offered.clear()
            with self.offered:
                tagged("p", f"{self.model} answers at /translate, until another is offered or the studio ends:")
                request = ui.context.client.request
                tagged("code", f'curl --data-binary @photo.jpg "{request.base_url}translate" -o translated.jpg')
                ui.link("How to use it", "/docs", new_tab=True)
                show_command(["serve", self.model])

    def take(self, folder: Path) -> None:
        """Translate what was just uploaded."""
        self.uploaded, self.inputs = self.workspace.name(folder), ""
        ui.timer(0.1, self.translate, once=True)

    async def translate(self) -> None:
        """Translate, and show the results: all, or those that were done when it was cancelled."""
        out = self.workspace.fresh("results")
        done = out.with_suffix(".jsonl")
        self.go.disable()
        try:
            with frame.errors_shown(self.gallery):
                for name in (self.inputs or self.uploaded, self.model):
                    self.workspace.readable(name)
                words = ["translate", self.model, self.inputs or self.uploaded, self.workspace.name(out), *self.flags()]
                await run_command([*words, "--manifest", self.workspace.name(done)], self.workspace.root, "Translating")
        finally:
            self.go.enable()
        if done.exists():
            with self.gallery:
                self.show_results([json.loads(line) for line in done.read_text("utf-8").splitlines()], out)
                show_command(words)

    def flags(self) -> list[str]:
        """Return the choices as words of the command."""
        found = ["--direction", self.direction] if self.direction else []
        found += ["--strength", f"{self.strength / 100:g}"] if self.strength < 100 else []
        found += ["--size", str(self.size)] if self.size else []
        return found + (["--samples", str(self.samples)] if self.samples else [])

    def show_results(self, done: list[dict[str, Any]], out: Path) -> None:
        """Show a gallery of what was made, by the lines of the manifest."""
        pairs = [(line["input"], Path(output)) for line in done for output in line.get("outputs", ())]
        with ui.element("div").classes("bar"):
            count = sum("outputs" in line for line in done)
            tagged("span", f"{count} translated {self.direction.replace('to', ' → ')}", "grow")
            button("Download all", lambda: download(self.workspace, out))
        for line in done:
            if "error" in line:
                tagged("p", f"{Path(line['input']).name}: {line['error']}", "finding warning")
        with ui.element("div").classes("cards results"):
            for before, after in pairs[:SHOWN]:
                self.show_one(self.workspace.path(before), self.workspace.path(str(after)))
        if len(pairs) > SHOWN:
            tagged("p", f"{len(pairs) - SHOWN} more are in the download.", "quiet")

    def show_one(self, before: Path, after: Path) -> None:
        """Show one result with its download."""
        with ui.element("figure").classes("result"):
            if after.suffix.lower() in VIDEOS:
                ui.element("video").props(f'controls loop src="{address(self.workspace, after)}"')
            else:
                side = 0 if after.suffix.lower() == ".gif" else LARGE  # which may move
                one, other = (address(self.workspace, path, side) for path in (before, after))
                frame.before_after(one, other, before.name)
            with ui.element("figcaption"):
                tagged("span", after.name)
                button("Download", lambda: download(self.workspace, after), "quiet")
