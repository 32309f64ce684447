"""The frame of every page, in the report's look, and the small parts that pages are made of."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response
from nicegui import ui

from viceversa.report import TEMPLATES
from viceversa.studio.trainings import Trainings

HERE = Path(__file__).parent
QUEUE = 2.0  # seconds between looks at the queue
PAGES = {"Translate": "/", "Train": "/train", "Runs": "/runs"}


def add_look(app: FastAPI) -> None:
    """Let pages have the styles, the report's and ours, and the script."""
    styles = "\n".join(path.read_text("utf-8") for path in (TEMPLATES / "page.css", HERE / "studio.css"))
    app.get("/studio.css", include_in_schema=False)(lambda: Response(styles, media_type="text/css"))
    app.get("/studio.js", include_in_schema=False)(lambda: FileResponse(HERE / "studio.js"))
    ui.add_head_html('<link rel="stylesheet" href="/studio.css"><script src="/studio.js" defer></script>', shared=True)


@contextmanager
def framed(here: str, trainings: Trainings) -> Iterator[None]:
    """Begin a page: brand, navigation and what is in training; what is made in the block is its content."""
    ui.colors(primary="var(--accent)", dark="var(--card)", dark_page="var(--ground)")
    with ui.element("header").classes("top"):
        ui.link("viceversa", "/").classes("brand")
        with ui.element("nav").props('aria-label="Pages"'):
            for name, address in PAGES.items():
                ui.link(name, address).classes("here" if name == here else "").props(
                    'aria-current="page"' if name == here else ""
                )
        show_queue(trainings)
    with ui.element("div"):  # in the main element, which is the framework's
        yield


def show_queue(trainings: Trainings) -> None:
    """Show, with links, what is in training and what waits for it."""
    place = ui.element("div").classes("queue").props('role="status" aria-label="Trainings"')
    seen: list[tuple[str, str]] = []

    def update() -> None:
        live = [(one.run, one.state) for one in trainings.all() if one.state]
        if live == seen:
            return
        seen[:] = live
        place.clear()
        with place:
            for name, state in live[:1]:
                ui.link(f"{Path(name).name}: {state}", run_page(name)).classes(f"pill {state.replace(' ', '-')}")
            if len(live) > 1:
                tagged("span", f"{len(live) - 1} waiting", "quiet")

    ui.timer(QUEUE, update)


def title(text: str, lead: str = "") -> None:
    """Show the heading of a page."""
    tagged("h1", text)
    if lead:
        tagged("p", lead, "lead")


def tagged(tag: str, text: str, classes: str = "") -> ui.label:
    """Show text in an HTML element of this name."""
    label = ui.label(text).classes(classes)
    label.tag = tag
    return label


def sentence(text: str, end: str = ".") -> str:
    """Return what a report says as a sentence."""
    return f"{text[:1].upper()}{text[1:]}{end}" if text else ""


@contextmanager
def section(heading: str, hint: str = "") -> Iterator[ui.element]:
    """Begin a part of a page."""
    with ui.element("section") as part:
        tagged("h2", heading)
        if hint:
            tagged("p", hint, "quiet")
        yield part


@contextmanager
def errors_shown(place: ui.element | None = None) -> Iterator[None]:
    """Show what the user can put right in one line: as a message that goes away, or in a place of the page.

    The place is emptied first; what the block shows stands there, too.
    """
    if place is not None:
        place.clear()
    try:
        with place or nullcontext():
            yield
    except (ValueError, OSError) as error:
        text = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.strerror else str(error)
        if place is None:
            ui.notify(text, type="negative", multi_line=True, timeout=8000, close_button="OK")
        else:
            with place:
                tagged("p", text, "finding error").props('role="alert"')


def button(text: str, action: Callable[..., object], kind: str = "") -> ui.button:
    """Show a button; `kind` is main, quiet or danger."""
    return ui.button(text, on_click=action, color=None).props("flat no-caps").classes(f"plain {kind}")


def toggle(choices: dict[str, str], what: str) -> ui.toggle:
    """Show a choice of one of a few."""
    shown = ui.toggle(choices).props("no-caps unelevated toggle-text-color=on-accent")
    shown.props["aria-label"] = what
    return shown


def slider(owner: object, attribute: str, label: str, last: int, say: Callable[[int], str]) -> ui.slider:
    """Show a slider from 0 for an attribute, with what its value means."""
    with ui.element("div").classes("field"):
        words = tagged("span", "", "value")
        shown = ui.slider(min=0, max=last, step=1).props(f'aria-label="{label}"').bind_value(owner, attribute)
        words.bind_text_from(shown, "value", lambda value: f"{label}: {say(int(value))}")
    return shown


def folder_field(label: str, names: list[str]) -> ui.input:
    """Show a field for the name of a folder: to type, with completion, or to choose from a list."""
    field = ui.input(label, autocomplete=names)
    with field.add_slot("append"), ui.button(icon="arrow_drop_down", color=None) as arrow, ui.menu():
        arrow.classes("arrow").props('flat dense round aria-label="Choose a folder"')
        for name in names:
            ui.menu_item(name, partial(field.set_value, name))
    return field


@contextmanager
def dialog(heading: str) -> Iterator[ui.dialog]:
    """Begin a dialog; it is opened by the caller."""
    with ui.dialog() as opened, ui.element("div").classes("card dialog"):
        tagged("h2", heading)
        yield opened


def answers(opened: ui.dialog, yes: str, answer: Callable[[], object] = lambda: True, kind: str = "main") -> None:
    """Show the buttons of a dialog: one that closes it with an answer, and one that cancels."""
    with ui.element("div").classes("bar"):
        button(yes, lambda: opened.submit(answer()), kind)
        button("Cancel", opened.close, "quiet")


def show_command(*lines: Sequence[str], opened: bool = False) -> None:
    """Offer the command lines that do the same in a terminal."""
    with ui.element("details").classes("commands").props("open" if opened else ""):
        tagged("summary", "Show command")
        for words in lines:
            text = shlex.join(["viceversa", *words])
            with ui.element("div").classes("command"):
                with ui.element("pre"):
                    tagged("code", text)
                button("Copy", lambda text=text: ui.clipboard.write(text))


def run_page(name: str) -> str:
    """Return the address of the page of a run."""
    return f"/run/{quote(name)}"


def ways(directions: Sequence[str]) -> dict[str, str]:
    """Return directions, and how they are shown."""
    return {direction: direction.replace("to", " → ") for direction in directions}


def before_after(before: str, after: str, label: str) -> ui.element:
    """Show two pictures, by their addresses, under a slider."""
    with ui.element("div").classes("slider") as slider:
        image(after, f"{label}, translated")
        image(before, f"{label}, as it was", "over")
        ui.element("span").classes("edge")
        covered = ui.element("input").props('type="range" min="0" max="100" value="50"')
        covered.props["aria-label"] = f"{label}: how much of the translation the input covers, in per cent"
    return slider


def image(address: str, alt: str, classes: str = "") -> ui.element:
    """Show a picture by its address."""
    shown = ui.element("img").classes(classes)
    shown.props.update({"src": address, "alt": alt})
    return shown
