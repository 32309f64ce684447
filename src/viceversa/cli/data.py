"""`viceversa data`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from viceversa.cli import checking, getting, preparing
from viceversa.cli.options import argument, group, option

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
    name: Annotated[Literal["water2wine"], argument("water2wine")],
    out: Annotated[Path, argument("OUT")],
    size: Annotated[int, option(metavar="PIXELS", help="Side of a picture.", show=True)] = 64,
    count: Annotated[int, option(metavar="N", help="Training pictures of each domain.", show=True)] = 400,
    test: Annotated[int, option(metavar="N", help="Test pictures of each domain, as pairs.", show=True)] = 40,
    seed: Annotated[int, option(metavar="N", help="Another seed draws other scenes.", show=True)] = 0,
) -> None:
    """Draw the built-in data set into a folder.

    water2wine: glasses of water (domain A) and of wine (domain B). Training pictures show different scenes in A and B,
    test pictures the same scenes in both.
    """
    from viceversa.data import water2wine

    water2wine.make(out, size=size, count=count, test=test, seed=seed)
    pairs = "test pictures are pairs: data.paired_test=true" if test else "no test pictures"
    typer.echo(f"{out}: {name}, {count} + {count} to train, {test} + {test} to test; {pairs}")
