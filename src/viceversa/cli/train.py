"""`viceversa train` and `viceversa demo`."""

import webbrowser
from pathlib import Path
from typing import Annotated, Optional

import typer

from viceversa.cli.options import Overrides, Source, argument, has_browser, option
from viceversa.errors import saved_when_interrupted


def train(
    source: Source = None,
    overrides: Overrides = None,
    fork: Annotated[
        Optional[Path],
        option("--fork", metavar="NEW_RUN", help="Go on from this run's newest checkpoint in a new folder."),
    ] = None,
) -> None:
    """Train, or continue where it stopped.

    The same command again continues. Starts from a preset (modern if none is named), a YAML file, or a run's folder,
    and changes what KEY=VALUE says.
    `viceversa config` lists all keys. Ctrl-C saves and stops.

    \b
    viceversa train cyclegan data.root=datasets/horse2zebra
    viceversa train pix2pix data.root=datasets/facades method.direction=BtoA
    viceversa train data.a=photos data.b=drawings run=runs/sketch
    viceversa train runs/sketch train.lr=1e-4 --fork runs/sketch-slower
    """
    from viceversa.config import load_words

    config = load_words([*filter(None, [source]), *(overrides or [])])
    from viceversa import engine

    with saved_when_interrupted(str(fork or config.run)):
        run = engine.train(config, fork)
    typer.echo(f"{run}: trained; try: viceversa translate {run} PICTURES OUT")


def demo(out: Annotated[Path, argument("OUT")] = Path("demo"), overrides: Overrides = None) -> None:
    """Turn water into wine, in a few minutes.

    Draws two worlds, trains on them, and compares with the true answer. Everything lands in OUT ("demo" if not named):
    the pictures, the run, and before_after_truth.png to look at.
    """
    from viceversa.demo import run

    with saved_when_interrupted(str(out)):
        run(out, overrides or [])
    page = out / "run" / "report.html"
    if page.is_file() and has_browser():
        webbrowser.open(page.resolve().as_uri())
