"""`viceversa studio`: a local web app that trains, translates and keeps runs, for who would rather look than type."""

from __future__ import annotations

import logging
import os
import webbrowser
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viceversa.config import ConfigError
from viceversa.serve import require_extra
from viceversa.studio.trainings import Trainings
from viceversa.studio.workspace import Workspace

if TYPE_CHECKING:
    from fastapi import FastAPI

    from viceversa.serve.codecs import Codecs
    from viceversa.serve.security import Access
    from viceversa.serve.service import Service

TICK, HOUR = 1.0, 3600.0  # seconds between looks at the trainings, and at what is older than a day
LARGEST_BODY = 2**30
"""Bytes of an upload: a video, or a zip of pictures."""
CONNECTIONS = 256
AWAY = 30.0  # seconds that a page may be cut off from us and keep what was filled in


@dataclass
class Studio:
    """What the pages share."""

    workspace: Workspace
    trainings: Trainings
    codecs: Codecs
    """Decode pictures and uploads."""
    service: Service | None = None
    """The model that is offered to other programs, at the addresses of `viceversa serve`."""

    def offered(self) -> Service:
        """Return the service of that model; HTTPException if none is offered."""
        from fastapi import HTTPException

        if self.service is None:
            raise HTTPException(404, "no model is offered; choose one on the page Translate")
        return self.service

    async def offer(self, model: Path) -> None:
        """Offer a model in the place of the one before."""
        from nicegui import run

        from viceversa.serve.codecs import Codecs
        from viceversa.serve.service import Service, load

        if translators := await run.io_bound(load, model):
            before, self.service = self.service, Service(translators, Codecs())
            if before:
                await before.close()

    async def close(self) -> None:
        """End all processes but the trainings."""
        if self.service:
            await self.service.close()
        self.codecs.close()


def start(root: Path, *, host: str, port: int, password: str = "", names: tuple[str, ...] = (), show: bool) -> None:
    """Serve the studio of a workspace until a signal; `show` opens the browser.

    Raises ConfigError for a host that others reach without a password, for a port that is taken, and where another
    studio works in the workspace.
    """
    require_extra()
    from filelock import FileLock, Timeout
    from nicegui import app as pages

    from viceversa.serve.codecs import Codecs, Limits
    from viceversa.serve.security import Access
    from viceversa.serve.server import address, listen, run_app

    access, workspace = Access(host, password, names), Workspace(root)
    os.chdir(workspace.root)  # commands and configurations name files relative to it
    as_large_as_the_users_own = Limits(bytes=2**28, pixels=2**27)
    studio = Studio(workspace, Trainings(workspace), Codecs(limits=as_large_as_the_users_own))
    app = create_app(studio, access)
    pages.timer(TICK, studio.trainings.advance)
    pages.timer(HOUR, workspace.sweep)
    pages.on_shutdown(studio.close)
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
    from viceversa.studio import frame
    from viceversa.studio.files import add_routes
    from viceversa.studio.run import RunPage
    from viceversa.studio.runs import RunsPage
    from viceversa.studio.train import TrainPage
    from viceversa.studio.translate import TranslatePage

    def add_page(path: str, name: str, kind: Any) -> None:
        async def build(run: str = "") -> None:
            with frame.framed(name, studio.trainings), frame.errors_shown():
                await kind(studio, run).show()

        ui.page(path, title=f"{name} – viceversa")(build)

    add_page("/", "Translate", TranslatePage)
    add_page("/train", "Train", TrainPage)
    add_page("/runs", "Runs", RunsPage)
    add_page("/run/{run:path}", "Runs", RunPage)
    app = FastAPI(title="viceversa studio", docs_url=None, redoc_url=None)
    add_routes(app, studio.workspace, studio.codecs)
    app.include_router(routes(studio.offered))
    frame.add_look(app)
    options: dict[str, Any] = {"title": "viceversa", "favicon": "◧", "dark": None, "language": "en-US"}
    ui.run_with(app, **options, tailwind=False, show_welcome_message=False, reconnect_timeout=AWAY)
    app.add_middleware(Guard, access=access, max_body=LARGEST_BODY)
    return app
