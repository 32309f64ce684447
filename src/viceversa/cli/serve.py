"""`viceversa serve` and `viceversa studio`."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Optional

import typer

from viceversa.cli.options import (
    AllowHost,
    Host,
    Model,
    Password,
    Port,
    argument,
    has_browser,
    number_of_bytes,
    option,
)


def serve(
    model: Model,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    password: Password = "",
    allow_host: AllowHost = None,
    workers: Annotated[int, option(metavar="N", min=1, help="Processes, each with the model.", show=True)] = 1,
    queue: Annotated[int, option(metavar="N", min=1, help="Pictures to take at a time; then 503.", show=True)] = 64,
    batch: Annotated[
        Optional[int], option(metavar="N", min=1, help="Pictures of one size at once (default: 1 on a CPU).")
    ] = None,
    max_size: Annotated[
        int, option(metavar="SIZE", parser=number_of_bytes, help="Of a picture's file, such as 32MB (default).")
    ] = 32 * 2**20,
    max_pixels: Annotated[int, option(metavar="N", min=1, help="Of a picture.", show=True)] = 2**25,
    best: Annotated[bool, option("--best", help="Use the weights that scored best in training.")] = False,
    device: Annotated[str, option(metavar="DEVICE", help="auto, cpu, cuda, cuda:1, mps.", show=True)] = "auto",
) -> None:
    """Serve a trained model over HTTP.

    POST a picture to /translate and get what `viceversa translate` would write. There are /health, /info, /metrics for
    Prometheus, and /docs. Only this machine can reach it, unless --host and --password say otherwise.

    \b
    viceversa serve runs/h2z
    curl --data-binary @horse.jpg "http://127.0.0.1:8000/translate" -o zebra.jpg
    VICEVERSA_PASSWORD=... viceversa serve h2z.onnx --host 0.0.0.0 --workers 2
    """
    from viceversa.serve import ServeOptions, serve

    serve(
        ServeOptions(
            model=model,
            host=host,
            port=port,
            password=password,
            names=tuple(allow_host or ()),
            workers=workers,
            queue=queue,
            batch=batch,
            max_bytes=max_size,
            max_pixels=max_pixels,
            best=best,
            device=device,
        )
    )


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
