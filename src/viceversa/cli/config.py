"""`viceversa config`, `viceversa info` and `viceversa presets`."""

from typing import Annotated, Optional

import typer

from viceversa.cli.options import Model, Overrides, Source, argument, words


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


def info(model: Model) -> None:
    """Describe a run or a weights file.

    Prints its method, networks, number of parameters, receptive field, and the steps done.
    """
    from viceversa.info import describe

    typer.echo(describe(model))


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
