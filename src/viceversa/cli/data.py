"""`viceversa data`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from viceversa.cli import checking, getting, preparing
from viceversa.cli.words import argument, group, option

app = group("Check, make, get and prepare data sets.")
app.command("check")(checking.check_data)
app.command()(preparing.convert)
app.command()(preparing.pair)
app.command()(preparing.split)
app.command()(preparing.cache)
app.command("faces")(getting.crop_faces)
app.command("get")(getting.get_data)


@app.command("make")
def make_data(
    name: Annotated[Literal["water2wine", "stripes"], argument("water2wine|stripes")],
    out: Annotated[Path, argument("OUT")],
    size: Annotated[int, option(metavar="PIXELS", help="Side of a picture.", show=True)] = 64,
    count: Annotated[int, option(metavar="N", help="Training pictures of each world.", show=True)] = 400,
    test: Annotated[int, option(metavar="N", help="Test pictures of each, with the true answer.", show=True)] = 40,
    seed: Annotated[int, option(metavar="N", help="Another seed draws other scenes.", show=True)] = 0,
) -> None:
    """Draw the built-in worlds into a folder.

    water2wine: glasses of water, and of wine. stripes: plain creatures, and striped ones, horse2zebra in small.
    World A goes to trainA and testA, the same scenes in world B to testB, others to trainB.
    """
    from viceversa.data import stripes, water2wine

    make = {"water2wine": water2wine.make, "stripes": stripes.make}[name]
    make(out, size=size, count=count, test=test, seed=seed)
    typer.echo(f"{out}: {name}, {count} + {count} to train, {test} + {test} to test; paired_test=true knows the answer")
