"""`viceversa data`: get, make, check, prepare and cache data sets."""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from viceversa.cli.options import Overrides, Source, argument, option, require_data, track, words

Overwrite = Annotated[bool, option("--overwrite", help="Delete what OUT holds.")]
SHOWN = 10  # names in a message

app = typer.Typer(rich_markup_mode=None, help="Get, make, check and prepare data sets.")


@app.command("check")
def check_data(
    place: Annotated[Optional[str], argument("ROOT|PRESET")] = None,
    overrides: Overrides = None,
    as_json: Annotated[bool, option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Find what is wrong with a data set before training does.

    Broken and flat images, copies, test images that training sees, sizes, pairs that do not match, domains that differ
    in more than they should. Exit status 1 if there are errors. Takes a folder, or what `viceversa train` takes.

    \b
    viceversa data check datasets/horse2zebra
    viceversa data check data.a=photos data.b=drawings --json
    """
    from viceversa.config import load_words

    if place is not None and Path(place).is_dir() and not Path(place, "config.yaml").is_file():
        place = f"data.root={place}"
    config = load_words(words(place, overrides))
    require_data(config.data)
    from viceversa.data import check

    report = check.check(config.data, track=track)
    if as_json:
        typer.echo(json.dumps(report.tree(), indent=2))
    else:
        typer.echo(report.text(os.path.expanduser(config.data.root or "")))
    sys.exit(bool(report.errors))


@app.command("get")
def get_data(
    name: Annotated[Optional[str], argument("[NAME]")] = None, out: Annotated[Optional[Path], argument("[OUT]")] = None
) -> None:
    """Download a data set that papers use; without NAME, list those that are known.

    OUT is datasets/NAME unless named, and appears when all is there. Archives are checked and unpacked safely.

    \b
    viceversa data get horse2zebra
    viceversa data get facades datasets/facades
    """
    from viceversa.data.download import catalogue, get_set, known

    if name is None:
        for each, values in catalogue().items():
            size = f"{values.megabytes:,} MB" if values.megabytes else ""
            typer.echo(f"{each:24}{size:>9}  {values.title}")
        return
    wanted, out = known(name), out or Path("datasets", name)
    get_set(wanted, out)
    data = shlex.quote(f"data.root={out}")
    typer.echo(f"{out}: {wanted.title}; try: viceversa train {wanted.train} {data}")


@app.command("make")
def make_data(
    name: Annotated[Literal["water2wine"], argument("NAME")],
    out: Annotated[Path, argument("OUT")],
    size: Annotated[int, option(metavar="PIXELS", help="Side of an image.", show=True)] = 64,
    count: Annotated[int, option(metavar="N", help="Training images of each domain.", show=True)] = 400,
    test: Annotated[int, option(metavar="N", help="Test images of each domain, as pairs.", show=True)] = 40,
    seed: Annotated[int, option(metavar="N", help="Another seed draws other scenes.", show=True)] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Draw the built-in data set, water2wine, into a folder.

    Glasses of water (domain A) and of wine (domain B). Training images show different scenes in A and B, test images
    the same scenes in both.
    """
    from viceversa.data import water2wine

    water2wine.make(out, size=size, count=count, test=test, seed=seed, overwrite=overwrite)
    pairs = "; the test images are pairs: data.paired_test=true" if test else ""
    typer.echo(f"{out}: {name}, {count} + {count} to train, {test} + {test} to test{pairs}")


@app.command("cache")
def cache_data(
    root: Annotated[Path, argument("ROOT")],
    out: Annotated[Path, argument("OUT")],
    source: Source = None,
    overrides: Overrides = None,
    overwrite: Overwrite = False,
) -> None:
    """Decode and resize every image once, for training.

    Crops, flips and all else that is random stay with the training, which is bitwise the same as without. Takes a
    preset and KEY=VALUE as train does: the keys that decide how images are resized should be those of the training.

    \b
    viceversa data cache datasets/h2z h2z-cache
    viceversa data cache datasets/h2z h2z-small data.load=72 data.crop=64
    """
    from viceversa.config import load_words

    config = load_words([*words(source, overrides), f"data.root={root}"])
    require_data(config.data)
    from viceversa.data.cache import make_cache

    note, broken = make_cache(config.data, out, overwrite=overwrite, track=track)
    train = f"viceversa train {shlex.quote(f'data.root={out}')}"
    typer.echo(f"{out}: {note}{f'; {len(broken)} broken' if broken else ''}; try: {train}")


@app.command("faces")
def crop_faces(
    source: Annotated[Path, argument("IN")],
    out: Annotated[Path, argument("OUT")],
    every: Annotated[bool, option("--all", help="All faces of an image, not the largest alone.")] = False,
    margin: Annotated[float, option(metavar="PART", min=0, help="Around a face, of its side.", show=True)] = 0.5,
    min_size: Annotated[int, option(metavar="PIXELS", min=1, help="Leave out smaller faces.", show=True)] = 60,
    overwrite: Overwrite = False,
) -> None:
    """Cut out the faces in a folder of images, as squares. OUT appears when all is done.

    \b
    viceversa data faces frames faces --all --margin 0.3 --min-size 100
    """
    from viceversa.data import faces

    found, failed = faces.crop_faces(source, out, faces.yunet(), margin, min_size, every, overwrite, track)
    typer.echo(f"{out}: {sum(found.values())} faces of {len(found)} images")
    if without := [name for name, count in found.items() if not count]:
        more = f" and {len(without) - SHOWN} more" if len(without) > SHOWN else ""
        typer.echo(f"without a face: {', '.join(without[:SHOWN])}{more}")
    for reason in failed.values():
        typer.echo(f"viceversa: left out: {reason}", err=True)
    sys.exit(bool(failed))
