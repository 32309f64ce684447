"""`viceversa studio`: a local web app that trains, translates and keeps runs, for who would rather look than type."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from viceversa.config import ConfigError
from viceversa.serve.codecs import Codecs
from viceversa.serve.security import Access, Guard
from viceversa.serve.uploads import Limits
from viceversa.studio.trainings import Trainings
from viceversa.studio.workspace import Workspace

TICK = 1.0  # seconds between looks at the trainings
LIMITS = Limits(bytes=2**28, pixels=2**27)
"""Of a picture; the user's own may be large."""
LARGEST_BODY = 2**30
"""Bytes of an upload: a video, or a zip of pictures."""


@dataclass(frozen=True)
class Studio:
    """What the pages share."""

    workspace: Workspace
    trainings: Trainings
    codecs: Codecs


def start(root: Path, *, host: str, port: int, password: str = "", browser: bool = False) -> None:
    """Serve the studio of a workspace until it is interrupted.

    Raises ConfigError for a port that is taken, and where another studio works in the workspace.
    """
    from filelock import FileLock, Timeout
    from nicegui import app, ui

    from viceversa.studio import frame, runs, train, training, translate
    from viceversa.studio.files import add_routes

    access = Access(host=host, password=password)
    workspace = Workspace(root)
    os.chdir(workspace.root)  # commands and configurations name files relative to it
    studio = Studio(workspace, Trainings(workspace), Codecs(limits=LIMITS))

    def page(address: str, name: str, content: Callable[..., Awaitable[None]]) -> None:
        async def build(run: str = "") -> None:
            with frame.framed(name, studio.trainings):
                await content(studio, run)

        ui.page(address, title=f"{name} – viceversa")(build)

    page("/", "Translate", translate.page)
    page("/train", "Train", train.page)
    page("/runs", "Runs", runs.page)
    page("/run/{run:path}", "Runs", training.page)
    add_routes(app, studio)
    frame.add_look(app)
    app.add_middleware(Guard, access=access, max_body=LARGEST_BODY)
    app.on_shutdown(studio.codecs.close)
    app.timer(TICK, studio.trainings.advance)
    lock = FileLock(workspace.own() / ".lock")
    try:
        with lock.acquire(timeout=0):
            print(f"viceversa studio: http://{host}:{port}/ for {workspace.root}; press Ctrl-C to stop", flush=True)
            ui.run(
                host=host,
                port=port,
                title="viceversa",
                language="en-US",
                favicon="◧",
                dark=None,
                tailwind=False,
                reload=False,
                show=browser,
                show_welcome_message=False,
            )
    except Timeout:
        raise ConfigError(f"{root}: another studio works in this folder") from None
