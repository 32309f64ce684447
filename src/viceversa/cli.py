"""The command line. Arguments are parsed before torch is imported; each command calls one function."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Optional, TypeVar

import typer

app = typer.Typer(
    help="Learn to translate images from one world to another, and vice versa.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
presets_app = typer.Typer(help="Ready-made configurations.", no_args_is_help=True)
data_app = typer.Typer(help="Make and prepare data sets.", no_args_is_help=True)
app.add_typer(presets_app, name="presets")
app.add_typer(data_app, name="data")

T = TypeVar("T")
Words = Annotated[Optional[list[str]], typer.Argument(metavar="[PRESET|CONFIG.yaml] [key=value ...]")]
Overrides = Annotated[Optional[list[str]], typer.Argument(metavar="[key=value ...]")]
Side = Annotated[Optional[Literal["AtoB", "BtoA"]], typer.Option(help="Which way, when the model knows both.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]


def main() -> None:
    """Run the command line; a user's mistake is one line on stderr and an exit status of 1, or 2 for a configuration."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except (ValueError, OSError) as error:
        if os.environ.get("VICEVERSA_DEBUG"):
            raise
        from viceversa.config import ConfigError

        typer.echo(f"viceversa: {_one_line(error)}", err=True)
        sys.exit(2 if isinstance(error, ConfigError) else 1)


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'file'}: {error.strerror.lower()}"
    return " ".join(str(error).split())


def _track(items: Iterable[T], total: int) -> Iterable[T]:
    """Show a progress bar on a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(items, "", total, console=console, disable=not console.is_terminal, transient=True)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"viceversa {version('viceversa')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Learn to translate images from one world to another, and vice versa."""


@app.command()
def train(words: Words = None) -> None:
    """Train; the same command again continues where it stopped.

    viceversa train cyclegan data.root=datasets/horse2zebra

    viceversa train pix2pix data.root=datasets/facades method.direction=BtoA
    """
    from viceversa.config import load_words

    config = load_words(words or [])
    from viceversa import engine
    from viceversa.engine.interrupt import Interrupted

    try:
        run = engine.train(config)
    except Interrupted as stop:
        typer.echo(f"{config.run}: saved; the same command again continues", err=True)
        sys.exit(128 + stop.signum)
    typer.echo(f"{run}: trained; try: viceversa translate {run} PICTURES OUT")


@app.command()
def translate(
    model: Annotated[Path, typer.Argument(metavar="RUN|WEIGHTS")],
    source: Annotated[str, typer.Argument(metavar="INPUT", help="A picture, a folder, or a quoted glob.")],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="A folder, or a file for a single picture.")],
    direction: Side = None,
    overwrite: Annotated[bool, typer.Option(help="Replace outputs that exist.")] = False,
    save_mask: Annotated[bool, typer.Option(help="Also write where the generator painted (NAME.mask.png).")] = False,
    raw: Annotated[bool, typer.Option(help="Use the last weights instead of their moving average.")] = False,
    device: Device = "auto",
) -> None:
    """Translate pictures of any size with a trained run or a weights file."""
    from viceversa.translate import Outcome, plan, translate_all

    jobs = plan(source, target)
    from viceversa.devices import pick_device
    from viceversa.translator import Translator

    translator = Translator.load(model, direction, raw=raw, device=pick_device(device))
    outcome = Outcome()
    for _ in _track(translate_all(translator, jobs, outcome, overwrite=overwrite, save_mask=save_mask), len(jobs)):
        pass
    typer.echo(f"{target}: {len(outcome.written)} translated {translator.card.direction}")
    if outcome.kept:
        typer.echo(f"{len(outcome.kept)} kept as they were; --overwrite replaces them")
    for file, reason in outcome.failed.items():
        typer.echo(f"viceversa: {file}: {reason}", err=True)
    if outcome.failed:
        sys.exit(1)


@app.command()
def demo(
    out: Annotated[Path, typer.Argument(help="Folder for everything the demo makes.")] = Path("demo"),
    overrides: Overrides = None,
) -> None:
    """Turn water into wine: make the built-in worlds, train on them for a few minutes, show before, after and truth."""
    from viceversa.demo import run

    run(out, overrides or [])


@app.command()
def info(path: Annotated[Path, typer.Argument(metavar="RUN|WEIGHTS")]) -> None:
    """Say what a run or a weights file is: method, networks, parameters, receptive field, steps done."""
    from viceversa.info import describe

    typer.echo(describe(path))


@app.command("config")
def show_config(words: Words = None) -> None:
    """Print the complete resolved configuration, with its comments."""
    from viceversa.config import load_words, to_yaml

    config = load_words(words or [])
    from viceversa import methods

    config = methods.complete(config)
    methods.check(config)
    typer.echo(to_yaml(config, methods.describe(config)), nl=False)


@presets_app.command("list")
def list_presets() -> None:
    """List the presets, a line each."""
    from viceversa.config import presets

    for name, file in presets().items():
        typer.echo(f"{name:24}{file.read_text('utf-8').splitlines()[0].lstrip('# ')}")


@presets_app.command("show")
def show_preset(name: str) -> None:
    """Print a preset as it stands."""
    from viceversa.config import preset_text

    typer.echo(preset_text(name), nl=False)


@presets_app.command("copy")
def copy_preset(name: str, target: Path) -> None:
    """Copy a preset to a file of your own, to change and to train with."""
    from viceversa.config import preset_text

    text = preset_text(name)
    if target.is_dir():
        target = target / f"{name}.yaml"
    if target.exists():
        raise FileExistsError(f"{target}: exists already; choose another name")
    target.write_text(text, "utf-8")
    typer.echo(f"{target}: written; try: viceversa train {target} data.root=FOLDER")


@data_app.command("make")
def make_data(
    name: Annotated[Literal["water2wine"], typer.Argument(help="Which built-in pair of worlds.")],
    out: Path,
    size: Annotated[int, typer.Option(help="Pixels of a side.")] = 64,
    count: Annotated[int, typer.Option(help="Training pictures of each world.")] = 400,
    test: Annotated[int, typer.Option(help="Test pictures of each world, with the true answer.")] = 40,
    seed: Annotated[int, typer.Option(help="Another seed draws other scenes.")] = 0,
) -> None:
    """Draw a built-in pair of worlds into ordinary folders: trainA trainB testA testB."""
    from viceversa.data import water2wine

    water2wine.make(out, size=size, count=count, test=test, seed=seed)
    typer.echo(f"{out}: {name}, {count} + {count} to train, {test} + {test} to test; paired_test=true knows the answer")
