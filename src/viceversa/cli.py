"""The command line. Arguments are parsed before torch is imported; each command calls one function.

Exit status: 0 done; 1 something could not be done; 2 wrong command or configuration; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, TypeVar

import typer

from viceversa.errors import one_line, saved_when_interrupted

T = TypeVar("T")
LAYOUT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, context_settings=LAYOUT)
presets_app = typer.Typer(rich_markup_mode=None, help="List, show or copy the ready-made configurations.")
data_app = typer.Typer(rich_markup_mode=None, help="Make data sets from nothing.")


def _preset_names(incomplete: str) -> list[str]:
    """Complete a preset's name in the shell."""
    from viceversa.config import presets

    return [name for name in presets() if name.startswith(incomplete)]


def _argument(metavar: str, **more: Any) -> Any:
    """Return an argument that shows in the usage line; the command's docstring says what it is."""
    return typer.Argument(metavar=metavar, hidden=True, show_default=False, **more)


def _option(*names: str, help: str, metavar: str | None = None, show: bool = False, **more: Any) -> Any:
    """Return an option whose default is only shown where it tells something."""
    return typer.Option(*names, help=help, metavar=metavar, show_default=show, **more)


Source = Annotated[Optional[str], _argument("PRESET|CONFIG.yaml", autocompletion=_preset_names)]
Overrides = Annotated[Optional[list[str]], _argument("KEY=VALUE")]
Preset = Annotated[str, _argument("PRESET", autocompletion=_preset_names)]
Model = Annotated[Path, _argument("RUN|WEIGHTS")]


def main() -> None:
    """Run the command line."""
    sys.path.append(os.getcwd())  # as `python -m` does: generator.name=my_lab:Mine may lie beside the user's data
    with one_line():
        sys.exit(app(sys.argv[1:] or ["--help"], standalone_mode=False) or 0)


def _track(items: Iterable[T], total: int) -> Iterable[T]:
    """Show a progress bar on a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(items, "", total, console=console, disable=not console.is_terminal, transient=True)


def _version(wanted: bool) -> None:
    if wanted:
        from viceversa import __version__

        typer.echo(f"viceversa {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Learn to translate images from one world to another, and vice versa.

    \b
    See it work:  viceversa demo
    Train:        viceversa train cyclegan data.root=datasets/horse2zebra
    Use it:       viceversa translate runs/cyclegan-horse2zebra photos out
    """


@app.command()
def train(source: Source = None, overrides: Overrides = None) -> None:
    """Train, or continue where it stopped.

    The same command again continues. Starts from a preset (cyclegan if none is named), a YAML file, or a run's folder,
    and changes what KEY=VALUE says.
    `viceversa config` lists all keys. Ctrl-C saves and stops.

    \b
    viceversa train cyclegan data.root=datasets/horse2zebra
    viceversa train pix2pix data.root=datasets/facades method.direction=BtoA
    viceversa train data.a=photos data.b=drawings run=runs/sketch
    """
    from viceversa.config import load_words

    config = load_words([*filter(None, [source]), *(overrides or [])])
    from viceversa import engine

    with saved_when_interrupted(config.run):
        run = engine.train(config)
    typer.echo(f"{run}: trained; try: viceversa translate {run} PICTURES OUT")


@app.command()
def translate(
    model: Model,
    source: Annotated[str, _argument("INPUT")],
    target: Annotated[Path, _argument("OUTPUT")],
    direction: Annotated[Optional[Literal["AtoB", "BtoA"]], _option(help="AtoB (unless told) or BtoA.")] = None,
    overwrite: Annotated[bool, _option("--overwrite", help="Replace outputs that exist.")] = False,
    save_mask: Annotated[bool, _option("--save-mask", help="Also write where it painted, as NAME.mask.png.")] = False,
    size: Annotated[Optional[int], _option(metavar="N", min=1, help="Short side to resize to first, pixels.")] = None,
    samples: Annotated[Optional[int], _option(metavar="K", min=1, help="K variations: NAME.1.png etc.")] = None,
    seed: Annotated[Optional[int], _option(metavar="N", min=0, help="Another seed draws other samples.")] = None,
    interpolate: Annotated[Optional[Path], _option(metavar="PICTURE", help="Walk there in 8 or K steps.")] = None,
    raw: Annotated[bool, _option("--raw", help="Use the last weights, not their moving average.")] = False,
    device: Annotated[str, _option(metavar="DEVICE", help="auto, cpu, cuda, cuda:1, mps.", show=True)] = "auto",
) -> None:
    """Translate pictures with a trained model.

    INPUT is a picture, a folder with its subfolders, or a quoted glob. OUTPUT is a folder, or a file for one picture.
    What exists is not touched: the same command again continues. Every picture keeps its size; one much larger than
    those in training hardly changes, so bring it near their size with --size.
    Variational generators also draw variations (--samples) and walk between pictures (--interpolate).

    \b
    viceversa translate runs/h2z photos out
    viceversa translate runs/h2z "photos/**/*.jpg" out --direction BtoA
    viceversa translate runs/h2z/weights/AtoB.safetensors horse.jpg zebra.png
    viceversa translate runs/vae face.png out --samples 4
    """
    from viceversa.translate import Wanted, translate_pictures

    wanted = Wanted(save_mask, samples, interpolate, seed, size)
    outcome = translate_pictures(
        model, source, target, direction, wanted=wanted, raw=raw, device=device, overwrite=overwrite, track=_track
    )
    failed = f", {len(outcome.failed)} failed" if outcome.failed else ""
    typer.echo(f"{target}: {len(outcome.written)} translated {outcome.direction}{failed}")
    if outcome.kept:
        typer.echo(f"{len(outcome.kept)} there already; --overwrite replaces them")
    for file, reason in outcome.failed.items():
        typer.echo(f"viceversa: {file}: {reason}", err=True)
    sys.exit(bool(outcome.failed))


@app.command()
def demo(out: Annotated[Path, _argument("OUT")] = Path("demo"), overrides: Overrides = None) -> None:
    """Turn water into wine, in a few minutes.

    Draws two worlds, trains on them, and compares with the true answer. Everything lands in OUT ("demo" if not named):
    the pictures, the run, and before_after_truth.png to look at.
    """
    from viceversa.demo import run

    with saved_when_interrupted(str(out)):
        run(out, overrides or [])


@app.command("import")
def import_weights(
    source: Annotated[Path, _argument("WEIGHTS.pth")],
    target: Annotated[Path, _argument("OUT.safetensors")],
    direction: Annotated[Literal["AtoB", "BtoA"], _option(help="Which way it translates.", show=True)] = "AtoB",
    inference: Annotated[
        Literal["running", "image", "original"],
        _option(help="How its batch norm and dropout behave; see the key inference.", show=True),
    ] = "running",
    overwrite: Annotated[bool, _option("--overwrite", help="Replace OUT.safetensors if it exists.")] = False,
) -> None:
    """Turn a generator that another code saved into a weights file.

    Reads what the original CycleGAN, pix2pix and CUT codes and their relatives write, and finds out the architecture by
    itself. Nothing but tensors is unpickled.

    \b
    viceversa import latest_net_G_A.pth horse2zebra.safetensors
    viceversa translate horse2zebra.safetensors photos out
    """
    from viceversa.interop import import_generator

    found = import_generator(source, target, direction, inference, overwrite=overwrite)
    typer.echo(f"{target}: {found.network['name']}, {found.in_channels} to {found.out_channels} channels, {direction}")


@app.command()
def info(model: Model) -> None:
    """Say what a run or a weights file is.

    Its method, networks, parameters, receptive field, and the steps done.
    """
    from viceversa.info import describe

    typer.echo(describe(model))


@app.command("config")
def show_config(source: Source = None, overrides: Overrides = None) -> None:
    """Print all keys, their values and meaning.

    \b
    viceversa config
    viceversa config pix2pix data.root=datasets/facades > facades.yaml
    """
    from viceversa.config import load_words

    config = load_words([*filter(None, [source]), *(overrides or [])])
    from viceversa.info import resolved

    typer.echo(resolved(config), nl=False)


@presets_app.command("list")
def list_presets() -> None:
    """List the presets, a line each."""
    from viceversa.config import preset_titles

    for name, title in preset_titles().items():
        typer.echo(f"{name:20}  {title}")


@presets_app.command("show")
def show_preset(name: Preset) -> None:
    """Print a preset as it stands."""
    from viceversa.config import preset_text

    typer.echo(preset_text(name), nl=False)


@presets_app.command("copy")
def copy_preset(name: Preset, target: Annotated[Path, _argument("FILE")]) -> None:
    """Copy a preset to a file of your own."""
    from viceversa.config import copy_preset as copy

    path = copy(name, target)
    typer.echo(f"{path}: written; try: viceversa train {path} data.root=FOLDER")


@data_app.command("make")
def make_data(
    name: Annotated[Literal["water2wine"], _argument("water2wine")],
    out: Annotated[Path, _argument("OUT")],
    size: Annotated[int, _option(metavar="PIXELS", help="Side of a picture.", show=True)] = 64,
    count: Annotated[int, _option(metavar="N", help="Training pictures of each world.", show=True)] = 400,
    test: Annotated[int, _option(metavar="N", help="Test pictures of each, with the true answer.", show=True)] = 40,
    seed: Annotated[int, _option(metavar="N", help="Another seed draws other scenes.", show=True)] = 0,
) -> None:
    """Draw the built-in worlds into a folder.

    Glasses of water go to trainA and testA, the same glasses of wine to testB, others to trainB.
    """
    from viceversa.data import water2wine

    water2wine.make(out, size=size, count=count, test=test, seed=seed)
    typer.echo(f"{out}: {name}, {count} + {count} to train, {test} + {test} to test; paired_test=true knows the answer")


app.add_typer(presets_app, name="presets")
app.add_typer(data_app, name="data")
