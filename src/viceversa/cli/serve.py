"""`viceversa serve` and `viceversa studio`."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from viceversa.cli.options import Model, argument, has_browser, number_of_bytes, option, takes
from viceversa.options import ListenOptions, ServeOptions


@takes(ServeOptions, max_size=number_of_bytes)
def serve(model: Model, options: ServeOptions) -> None:
    """Serve a trained model over HTTP.

    POST a picture to /translate and get what `viceversa translate` would write. There are /health, /info, /metrics for
    Prometheus, and /docs. Only this machine can reach it, unless --host and --password say otherwise.

    \b
    viceversa serve runs/h2z
    curl --data-binary @horse.jpg "http://127.0.0.1:8000/translate" -o zebra.jpg
    VICEVERSA_PASSWORD=... viceversa serve h2z.onnx --host 0.0.0.0 --workers 2
    """
    from viceversa.serve import serve

    serve(options)


@takes(ListenOptions)
def studio(
    options: ListenOptions,
    workspace: Annotated[Path, argument("WORKSPACE")] = Path("."),
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
    names = tuple(options.allow_host or ())
    start(workspace, host=options.host, port=options.port, password=options.password, names=names, show=show)
