"""The page Translate: pictures in, pictures out, with any run or file of the workspace."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from nicegui import run, ui

from viceversa.paths import weights_file
from viceversa.report.samples import spread
from viceversa.studio import frame
from viceversa.studio.frame import button, show_command, tagged
from viceversa.studio.tasks import Work, progress
from viceversa.studio.uploads import DropZone
from viceversa.translate import TranslateOptions, TranslateResult, translate_images
from viceversa.translate.files import VIDEOS, plan

if TYPE_CHECKING:
    from viceversa.studio import Studio

SHOWN, EXAMPLES = 48, 6  # results on the page, and test pictures before there are any
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
    """What was chosen on the page, and what came of it."""

    def __init__(self, studio: Studio, model: str) -> None:
        self.studio, self.workspace = studio, studio.workspace
        self.model, self.inputs, self.direction = model, "", ""
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
                ui.input("Or a folder or file in the workspace").bind_value(self, "inputs")
                with ui.element("div"):
                    words = tagged("span", "")
                    strength = ui.slider(min=0, max=100, step=5).props('aria-label="Strength"')
                    strength.bind_value(self, "strength")
                    words.bind_text_from(strength, "value", lambda value: f"Strength: {value} %")
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
                ways = {direction: direction.replace("to", " → ") for direction in found}
                frame.toggle(ways, "Direction").bind_value(self, "direction")
            sizes = {trained: f"{trained} px, as in training"} if trained else {}
            sizes |= {factor * trained: f"{factor * trained} px" for factor in (2, 4) if trained}
            ui.select({**sizes, 0: "as large as they are"}, label="Short side").bind_value(self, "size")
            if variational:
                ui.select(VARIATIONS, label="Variations").bind_value(self, "samples")
        self.show_examples()

    def show_examples(self) -> None:
        """Show what the model makes of the test images of its training, in the place of the results."""
        samples = self.workspace.path(self.model) / "samples"
        latest = sorted(samples.glob("step-*"))[-1:]
        inputs = spread(sorted(samples.glob(f"inputs/{self.direction}-*-input.png")), EXAMPLES)
        pairs = [(one, step / one.name.replace("input", "translation")) for step in latest for one in inputs]
        self.gallery.clear()
        with self.gallery:
            tagged("p", "What the model makes of test pictures. Yours appear here.", "quiet")
            with ui.element("div").classes("cards results"):
                for before, after in (pair for pair in pairs if pair[1].is_file()):
                    one, other = (
                        frame.address(self.workspace.name(path), path.stat().st_mtime) for path in (before, after)
                    )
                    frame.before_after(one, other, "test picture").classes("pixels")

    async def offer(self) -> None:
        """Let other programs use the model, as `viceversa serve` does."""
        with frame.errors_shown():
            await self.studio.offer.choose(self.workspace.readable(self.model))
            self.offered.clear()
            with self.offered:
                tagged("p", f"{self.model} answers at /translate, until another is offered or the studio ends:")
                request = ui.context.client.request
                tagged("code", f'curl --data-binary @photo.jpg "{request.base_url}translate" -o translated.jpg')
                ui.link("How to use it", "/docs", new_tab=True)
                show_command(["serve", self.model])

    def take(self, folder: Path) -> None:
        """Translate what was just uploaded."""
        self.inputs = self.workspace.name(folder)
        ui.timer(0.1, self.translate, once=True)

    async def translate(self) -> None:
        """Translate, and show the results."""
        self.gallery.clear()
        with frame.errors_shown(self.gallery):
            source, model = self.workspace.readable(self.inputs), self.workspace.readable(self.model)
            out, work = self.workspace.fresh("results"), Work()
            options = TranslateOptions(
                direction=self.direction or None,  # type: ignore[arg-type]  # of the run's own list
                strength=self.strength / 100,
                size=self.size or None,
                samples=self.samples or None,
            )
            self.go.disable()
            try:
                with self.gallery, progress(work, "Loading the model …"):
                    result = await run.io_bound(translate_images, model, [str(source)], out, options, work.track)
            finally:
                self.go.enable()
            if result:
                self.show_results(source, out, options, result)

    def show_results(self, source: Path, out: Path, options: TranslateOptions, result: TranslateResult) -> None:
        """Show a gallery of what was made."""
        written = set(result.written)
        pairs = [pair for pair in plan([str(source)], out) if pair[1] in written]
        with self.gallery:
            with ui.element("div").classes("bar"):
                tagged("span", f"{len(pairs)} translated {result.direction.replace('to', ' → ')}", "grow")
                button("Download all", lambda: self.download_all(out))
            for file, reason in result.failed.items():
                tagged("p", f"{file.name}: {reason}", "finding warning")
            with ui.element("div").classes("cards results"):
                for file, output in pairs[:SHOWN]:
                    for path in options.outputs(output):
                        self.show_one(file, path)
            if len(pairs) > SHOWN:
                tagged("p", f"{len(pairs) - SHOWN} more are in the download.", "quiet")
            show_command(["translate", self.model, self.workspace.name(source), "OUT", *self.flags()])

    def show_one(self, before: Path, after: Path) -> None:
        """Show one result with its download."""
        names = [self.workspace.name(path) for path in (before, after)]
        with ui.element("figure").classes("result"):
            if after.suffix.lower() in VIDEOS:
                ui.element("video").props(f'controls src="/files/{names[1]}"')
            else:
                addresses = [frame.picture(name, self.workspace.path(name).stat().st_mtime, 1024) for name in names]
                frame.before_after(addresses[0], addresses[1], before.name)
            with ui.element("figcaption"):
                tagged("span", after.name)
                button("Download", lambda: frame.download(names[1]), "quiet")

    def flags(self) -> list[str]:
        """Return the options as words of the command."""
        found = ["--direction", self.direction] if self.direction else []
        found += ["--strength", f"{self.strength / 100:g}"] if self.strength < 100 else []
        found += ["--size", str(self.size)] if self.size else []
        return found + (["--samples", str(self.samples)] if self.samples else [])

    async def download_all(self, out: Path) -> None:
        """Send all results as a zip."""
        archive = await run.io_bound(shutil.make_archive, str(out), "zip", out)
        if archive:
            frame.download(self.workspace.name(Path(archive)))


async def page(studio: Studio, run: str) -> None:
    """Make the page, with a run chosen if one is named."""
    await TranslatePage(studio, run).show()
