"""`viceversa data`: get, make and check data sets; what prepares them is in `prepare`."""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Optional

import typer

from viceversa.cli import prepare
from viceversa.cli.options import Overrides, argument, group, option, track, transfers

if TYPE_CHECKING:
    from viceversa.config import Config

app = group("Get, make, check and prepare data sets.")
app.command()(prepare.convert)
app.command()(prepare.pair)
app.command()(prepare.split)
app.command()(prepare.cache)
app.command("faces")(prepare.crop_faces)
app.command()(prepare.colorize)


@app.command("check")
def check_data(
    place: Annotated[Optional[str], argument("ROOT|PRESET")] = None,
    overrides: Overrides = None,
    quick: Annotated[bool, option("--quick", help="Read headers only: seconds for a hundred thousand files.")] = False,
    as_json: Annotated[bool, option("--json", help="Print the report as JSON.")] = False,
    sheet: Annotated[Optional[Path], option(metavar="FILE.png", help="Write 5 x 5 images of each domain.")] = None,
) -> None:
    """Find what is wrong with a data set before training does.

    Broken and flat images, copies, test images that training sees, sizes, pairs that do not match, domains that differ
    in more than they should. Exit status 1 if there are errors. Takes a folder, or what `viceversa train` takes.

    \b
    viceversa data check datasets/horse2zebra
    viceversa data check pix2pix data.root=datasets/facades --quick --sheet facades.png
    viceversa data check data.a=photos data.b=drawings --json
    """
    config = _configured(place, overrides or [])
    from viceversa.data import check

    report = check.check(config.data, quick=quick, track=track)
    if sheet:
        check.write_contact_sheet(config.data, sheet)
    if as_json:
        typer.echo(json.dumps(report.tree(), indent=2))
    else:
        report.show(os.path.expanduser(config.data.root or ""))
    sys.exit(bool(report.errors))


@app.command("get")
def get_data(
    name: Annotated[Optional[str], argument("[NAME]")] = None,
    out: Annotated[Optional[Path], argument("[OUT]")] = None,
    keep: Annotated[bool, option("--keep-archive", help="Leave the archive beside OUT.")] = False,
    listing: Annotated[bool, option("--list", help="List the data sets that are known, as without NAME.")] = False,
) -> None:
    """Download a data set that papers use.

    OUT is datasets/NAME unless named, and appears when all is there. Archives are checked and unpacked safely.

    \b
    viceversa data get horse2zebra
    viceversa data get facades datasets/facades
    """
    from viceversa.data.download import catalogue, get_set, known

    if name is None or listing:
        for each, values in catalogue().items():
            size = f"{values.megabytes:,} MB" if values.megabytes else ""
            typer.echo(f"{each:24}{size:>9}  {values.title}{'  (Kaggle)' if values.kaggle else ''}")
        return
    wanted, out = known(name), out or Path("datasets", name)
    with transfers() as transfer:
        root = get_set(wanted, out, keep=keep, downloading=transfer("downloading"), unpacking=transfer("unpacking"))
    data = shlex.quote(f"data.root={root}")
    ready = f"try: viceversa train {wanted.train} {data}" if wanted.train else wanted.note
    typer.echo(f"{out}: {wanted.title}; {ready}")


@app.command("make")
def make_data(
    name: Annotated[Literal["water2wine"], argument("water2wine")],
    out: Annotated[Path, argument("OUT")],
    size: Annotated[int, option(metavar="PIXELS", help="Side of an image.", show=True)] = 64,
    count: Annotated[int, option(metavar="N", help="Training images of each domain.", show=True)] = 400,
    test: Annotated[int, option(metavar="N", help="Test images of each domain, as pairs.", show=True)] = 40,
    seed: Annotated[int, option(metavar="N", help="Another seed draws other scenes.", show=True)] = 0,
) -> None:
    """Draw the built-in data set into a folder.

    water2wine: glasses of water (domain A) and of wine (domain B). Training images show different scenes in A and B,
    test images the same scenes in both.
    """
    from viceversa.data import water2wine

    water2wine.make(out, size=size, count=count, test=test, seed=seed)
    pairs = "; the test images are pairs: data.paired_test=true" if test else ""
    typer.echo(f"{out}: {name}, {count} + {count} to train, {test} + {test} to test{pairs}")


def _configured(place: str | None, words: list[str]) -> "Config":
    """Return the configuration that the words mean; a folder that is no run stands for data.root=FOLDER."""
    from viceversa.config import load_words

    first = [] if place is None else [place]
    if place is not None and Path(place).is_dir() and not Path(place, "config.yaml").is_file():
        first = [f"data.root={place}"]
    return load_words([*first, *words])
