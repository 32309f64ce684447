"""`viceversa studio`: a local web app that trains, translates and keeps runs, for who would rather look than type."""

from __future__ import annotations

import logging
import os
import webbrowser
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viceversa.config import ConfigError
from viceversa.serve import require_extra
from viceversa.studio.offer import Offer
from viceversa.studio.trainings import Trainings
from viceversa.studio.workspace import Workspace

if TYPE_CHECKING:
    from fastapi import FastAPI

    from viceversa.serve.security import Access

TICK, HOUR = 1.0, 3600.0  # seconds between looks at the trainings, and at what is older than a day
LARGEST_BODY = 2**30
"""Bytes of an upload: a video, or a zip of pictures."""
CONNECTIONS = 256
AWAY = 30.0  # seconds that a page may be cut off from us and keep what was filled in


@dataclass(frozen=True)
class Studio:
    """What the pages share."""

    workspace: Workspace
    trainings: Trainings
    offer: Offer = field(default_factory=Offer)


def start(root: Path, *, host: str, port: int, password: str = "", names: tuple[str, ...] = (), show: bool) -> None:
    """Serve the studio of a workspace until a signal; `show` opens the browser.

    Raises ConfigError for a host that others reach without a password, for a port that is taken, and where another
    studio works in the workspace.
    """
    require_extra()
    from filelock import FileLock, Timeout
    from nicegui import app as pages

    from viceversa.serve.security import Access
    from viceversa.serve.server import address, listen, run_app

    access = Access(host, password, names)
    workspace = Workspace(root)
    os.chdir(workspace.root)  # commands and configurations name files relative to it
    studio = Studio(workspace, Trainings(workspace))
    app = create_app(studio, access)
    pages.timer(TICK, studio.trainings.advance)
    pages.timer(HOUR, workspace.sweep)
    pages.on_shutdown(studio.offer.close)
    logging.getLogger("nicegui").setLevel(logging.ERROR)  # it warns of pages that were closed while they were made
    try:
        with FileLock(workspace.own() / ".lock").acquire(timeout=0), listen(host, port) as listener:
            print(f"{address(listener)} shows {workspace.root}; Ctrl-C ends it, trainings go on", flush=True)
            if show:
                pages.on_startup(partial(webbrowser.open, address(listener)))
            run_app(app, listener, CONNECTIONS)
    except Timeout:
        raise ConfigError(f"{root}: another studio works in this folder") from None


def create_app(studio: Studio, access: Access) -> FastAPI:
    """Return the application: pages, files, and the routes of the service, behind the guard."""
    from fastapi import FastAPI
    from nicegui import ui

    from viceversa.serve.app import routes
    from viceversa.serve.security import Guard
    from viceversa.studio import frame, runs, train, training, translate
    from viceversa.studio.files import add_routes

    def add_page(path: str, name: str, content: Callable[[Studio, str], Awaitable[None]]) -> None:
        async def build(run: str = "") -> None:
            with frame.framed(name, studio.trainings):
                await content(studio, run)

        ui.page(path, title=f"{name} – viceversa")(build)

    add_page("/", "Translate", translate.page)
    add_page("/train", "Train", train.page)
    add_page("/runs", "Runs", runs.page)
    add_page("/run/{run:path}", "Runs", training.page)
    app = FastAPI(title="viceversa studio", docs_url=None, redoc_url=None)
    add_routes(app, studio)
    app.include_router(routes(studio.offer.find))
    frame.add_look(app)
    options: dict[str, Any] = {"title": "viceversa", "favicon": "◧", "dark": None, "language": "en-US"}
    ui.run_with(app, **options, tailwind=False, show_welcome_message=False, reconnect_timeout=AWAY)
    app.add_middleware(Guard, access=access, max_body=LARGEST_BODY)
    return app
