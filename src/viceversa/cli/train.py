"""`viceversa train`, `demo`, `config` and `presets`."""

import os
import shlex
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from viceversa.cli.options import Overrides, Source, argument, has_browser, option, require_data, words

if TYPE_CHECKING:
    from viceversa.config import Config


def train(
    source: Source = None,
    overrides: Overrides = None,
    fork: Annotated[
        Optional[Path],
        option("--fork", metavar="NEW_RUN", help="Continue from this run's newest checkpoint in a new folder."),
    ] = None,
) -> None:
    """Train, or continue a training.

    Starts from a preset (style if none is named), a YAML file or a run's folder, with the values that KEY=VALUE
    changes. The same command again continues where the training stopped. Ctrl-C saves and stops.
    `viceversa config` lists all keys.

    \b
    viceversa train cyclegan data.root=datasets/horse2zebra
    viceversa train pix2pix data.root=datasets/facades method.direction=BtoA
    viceversa train data.a=photos data.b=drawings run=runs/sketch
    viceversa train runs/sketch train.lr=1e-4 --fork runs/sketch-slower
    """
    from viceversa.config import flat, load_words, parse_override

    typed = words(source, overrides)
    config = load_words(typed)
    _refuse_early(config, fork)
    import viceversa

    fixed = {key for word in typed if "=" in word for key in flat(parse_override(word))}
    with saved_when_interrupted(str(fork or config.run)):
        run = viceversa.train(config, fork, fixed)
    typer.echo(f"{run}: trained; try: viceversa translate {shlex.quote(str(run))} PICTURES OUT")


def _refuse_early(config: "Config", fork: Path | None) -> None:
    """Refuse what the training would refuse too, but only after seconds, when torch is imported."""
    from viceversa.config import COMPONENTS, ConfigError
    from viceversa.files import lock_run, require
    from viceversa.registry import refuse_misspelt

    for section in COMPONENTS:
        refuse_misspelt(section, getattr(config, section))
    require_data(config.data)
    run = fork or Path(config.run)
    for start in filter(None, (config.init.AtoB, config.init.BtoA)):
        require(Path(start).expanduser())
    if fork and not (Path(config.run) / "config.yaml").is_file():
        raise ConfigError(f"{config.run}: no run that could be forked; the first word names one, or run=FOLDER does")
    if os.environ.get("RANK", "0") == "0" and (run / ".lock").exists():
        with lock_run(run):
            pass


@contextmanager
def saved_when_interrupted(run: str) -> Iterator[None]:
    """End the program, with 128 and the signal's number, when a training was asked to stop and has saved."""
    from viceversa.engine import Interrupted

    try:
        yield
    except Interrupted as stop:
        typer.echo(f"viceversa: {run}: saved; the same command again continues", err=True)
        sys.exit(128 + stop.signum)


def demo(out: Annotated[Path, argument("OUT")] = Path("demo"), overrides: Overrides = None) -> None:
    """Turn water into wine, in a few minutes.

    Draws two domains, trains on them, and compares the translations with the true answers. Everything is written to
    OUT ("demo" if omitted): the pictures, the run, and before_after_truth.png, which shows the result.
    """
    from viceversa.config import load_config

    load_config("water2wine-small", overrides or [])  # a wrong word is told before torch is imported
    from viceversa.demo import run

    with saved_when_interrupted(str(out)):
        run(out, overrides or [])
    page = out / "run" / "report.html"
    if page.is_file() and has_browser():
        webbrowser.open(page.resolve().as_uri())


def show_config(source: Source = None, overrides: Overrides = None) -> None:
    """Print all keys with their values and meaning.

    \b
    viceversa config
    viceversa config pix2pix data.root=datasets/facades > facades.yaml
    """
    from viceversa.config import load_words

    config = load_words(words(source, overrides))
    from viceversa.info import resolved

    typer.echo(resolved(config).rstrip("\n"))


def presets(name: Annotated[Optional[str], argument("PRESET")] = None) -> None:
    """List the presets, or print one as it stands.

    \b
    viceversa presets
    viceversa presets cyclegan > my.yaml
    """
    from viceversa import config

    known = config.presets()
    if name is None:
        titles = {name: path.read_text("utf-8").splitlines()[0][2:] for name, path in known.items()}
        typer.echo("\n".join(f"{name:20}  {title}" for name, title in titles.items()))
    elif name in known:
        typer.echo(known[name].read_text("utf-8").rstrip("\n"))
    else:
        raise config.ConfigError(f"{name}: there is no such preset{config.suggest(name, known)}")
