"""The page Train: pictures, what is wanted, how long, start; and the fork of a run, with changes."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from nicegui import run, ui

from viceversa.config import load_config
from viceversa.studio import frame
from viceversa.studio.commands import run_command
from viceversa.studio.form import (
    RECIPES,
    SIZES,
    TIMES,
    form_fields,
    length_words,
    show_field,
    show_form,
    size_words,
    train_words,
)
from viceversa.studio.frame import button, section, show_command, tagged
from viceversa.studio.pictures import Pictures
from viceversa.studio.workspace import OWN

if TYPE_CHECKING:
    from viceversa.studio import Studio


class TrainPage:
    """What was chosen on the page."""

    def __init__(self, studio: Studio, _run: str) -> None:
        self.studio, self.workspace = studio, studio.workspace
        self.pictures = Pictures(studio)
        self.recipe, self.run = "style", ""
        self.time, self.size = 1, 0
        self.steps: float | None = None
        self.changes: dict[str, str] = {}

    def words(self, run: str) -> list[str]:
        """Return the words of a command that trains this run; raise ValueError or OSError for what cannot be."""
        recipe = RECIPES[self.recipe]
        amount = *size_words(SIZES[self.size]), *length_words(TIMES[self.time], int(self.steps or 0))
        given = *recipe.words, *self.pictures.words(), *amount
        words = train_words(recipe.preset, given, changes=self.changes, run=run)
        if any(":" in value for key, value in self.changes.items() if key.endswith(".name")):
            raise ValueError("code of your own is named on the command line, not here")
        self.workspace.confined(load_config(words[1], words[2:]))
        return words

    async def show(self) -> None:
        """Make the page."""
        frame.title("Train a model", "Two piles of pictures become a program that turns the one into the other.")
        with section("1. Pictures"):
            self.pictures.show()
        with section("2. What should happen?"), ui.element("div").classes("recipes").props('role="radiogroup"'):
            self.cards = {name: self.show_recipe(name) for name in RECIPES}
        with section("3. How long, and how large?"):
            with ui.element("div").classes("fields"):
                sizes = [f"{size} px" if size else "what the time allows" for size in SIZES]
                frame.slider(self, "time", "Time", len(TIMES) - 1, lambda at: TIMES[at]).props("markers snap")
                frame.slider(self, "size", "Size", len(SIZES) - 1, lambda at: sizes[at]).props("markers snap")
                with ui.element("div").classes("field"):
                    ui.number("Steps, instead of a time", min=0, format="%d").bind_value(self, "steps")
            self.settings = ui.element("div").classes("settings")
        with section("4. Start"):
            ui.input("Name of the model", placeholder="photos-to-drawings").bind_value(self, "run").classes("name")
            with ui.element("div").classes("bar"):
                button("Start training", self.start, "main")
                button("How long will it take?", self.estimate)
                button("Show command", self.show_words, "quiet")
            self.result = ui.element("div")
        await ui.context.client.connected()
        await self.choose("style")

    def show_recipe(self, name: str) -> ui.button:
        """Show a recipe as a card to choose."""
        recipe = RECIPES[name]
        card = ui.button(on_click=lambda: self.choose(name), color=None).props('flat no-caps role="radio"')
        with card.classes("card recipe"):
            tagged("strong", recipe.title)
            tagged("span", recipe.about, "quiet")
        return card

    async def choose(self, name: str) -> None:
        """Take a recipe, and show its settings."""
        self.recipe, self.changes = name, {}
        for other, card in self.cards.items():
            card.props(f'aria-checked="{str(other == name).lower()}"')
        if RECIPES[name].pairs and self.pictures.mode == "two":
            self.pictures.mode = "pairs"
        await self.show_settings()

    async def show_settings(self) -> None:
        """Show the simple view, and all options folded below it."""
        recipe = RECIPES[self.recipe]
        fields = await run.io_bound(form_fields, recipe.preset, recipe.words) or []
        self.settings.clear()
        with self.settings:
            with ui.element("div").classes("fields"):
                for key, (name, meaning) in recipe.simple.items():
                    show_field(next(field for field in fields if field.key == key), self.changes, name, meaning)
            with ui.expansion("All options").classes("fold advanced"):
                show_form([field for field in fields if field.key not in recipe.simple], self.changes)

    def show_words(self) -> None:
        """Show the command that Start runs."""
        with frame.errors_shown(self.result):
            show_command(self.words(self.workspace.new_run(self.run or "my-model")), opened=True)

    async def estimate(self) -> None:
        """Measure a few steps in a process of its own, and say what they promise."""
        with frame.errors_shown(self.result):
            words = self.words("runs/.new")[1:]  # which needs no name yet
            what = "Measuring a few real steps"
            said = await run_command(words, self.workspace.root, what, module="viceversa.studio.estimate")
            tagged("p", said.splitlines()[-1], "verdict")

    async def start(self) -> None:
        """Queue the training, with what was uploaded for it kept beside it, and go to its page."""
        with frame.errors_shown():
            run = self.workspace.new_run(self.run)
            self.words(run)
            self.keep_uploads()
            self.studio.trainings.add(run, self.words(run))
            ui.navigate.to(frame.run_page(run))

    def keep_uploads(self) -> None:
        """Move what was uploaded, and the list of what is used, to a folder that is not deleted after a day."""
        pictures, home = self.pictures, self.workspace.root / "datasets" / self.run.strip()
        moved = {which: place for which, place in pictures.places.items() if place.startswith(f"{OWN}/uploads/")}
        if (moved or pictures.manifest) and home.exists():
            raise ValueError(f"datasets/{self.run}: is there already; choose another name for the model")
        listed = self.workspace.path(pictures.manifest).read_text("utf-8") if pictures.manifest else ""
        for which, place in moved.items():
            home.mkdir(parents=True, exist_ok=True)
            shutil.move(self.workspace.path(place), home / which)
            pictures.places[which] = self.workspace.name(home / which)
            listed = listed.replace(f"{place}/", f"{pictures.places[which]}/")
        if listed:
            home.mkdir(parents=True, exist_ok=True)
            (home / "pictures.csv").write_text(listed, "utf-8")
            pictures.manifest = self.workspace.name(home / "pictures.csv")
