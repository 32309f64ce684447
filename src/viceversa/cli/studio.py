"""`viceversa studio`."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from viceversa.cli.options import AllowHost, Host, Password, Port, argument, has_browser, option


def studio(
    workspace: Annotated[Path, argument("WORKSPACE")] = Path("."),
    host: Host = "127.0.0.1",
    port: Port = 8420,
    password: Password = "",
    allow_host: AllowHost = None,
    no_browser: Annotated[bool, option("--no-browser", help="Do not open the browser.")] = False,
) -> None:
    """Train and translate in the browser.

    Shows the runs and pictures in WORKSPACE, the current folder unless named, and nothing outside it. Trainings go on
    when the page is closed and when the studio is stopped.

    \b
    viceversa studio
    viceversa studio pictures --port 9000
    """
    from viceversa.files import require

    if find_spec("nicegui") is None:
        raise ValueError('the studio needs NiceGUI; pip install "viceversa[studio]"')
    if not require(workspace).is_dir():
        raise typer.BadParameter(f"{workspace}: a file, where a folder is expected")

    from viceversa.studio import start

    show = not no_browser and has_browser()
    start(workspace, host=host, port=port, password=password, names=tuple(allow_host or ()), show=show)
