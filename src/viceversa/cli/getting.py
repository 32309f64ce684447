"""`viceversa data get` and `viceversa data faces`."""

import sys
from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from viceversa.cli.options import argument, option, track, transfers


def get_data(
    name: Annotated[Optional[str], argument("[NAME]")] = None,
    out: Annotated[Optional[Path], argument("[OUT]")] = None,
    keep: Annotated[bool, option("--keep-archive", help="Leave the archive beside OUT.")] = False,
    listing: Annotated[bool, option("--list", help="List the data sets that are known, as without NAME.")] = False,
) -> None:
    """Download a data set that papers use.

    OUT is datasets/NAME unless named, and appears when all is there. When the download breaks off, the same command
    goes on with it. Archives are checked and unpacked safely.

    \b
    viceversa data get
    viceversa data get horse2zebra
    viceversa data get facades datasets/facades
    """
    from viceversa.data.catalogue import SETS
    from viceversa.data.fetch.get import get_set, known

    if name is None or listing:
        for each in SETS:
            size = f"{each.megabytes:,} MB" if each.megabytes else ""
            typer.echo(f"{each.name:24}{size:>9}  {each.title}{'  (Kaggle)' if each.kaggle else ''}")
        return
    wanted, out = known(name), out or Path("datasets", name)
    with transfers() as transfer:
        root = get_set(wanted, out, keep=keep, downloading=transfer("downloading"), unpacking=transfer("unpacking"))
    ready = f"try: viceversa train {wanted.train} data.root={root}" if wanted.train else wanted.note
    typer.echo(f"{out}: {wanted.title}; {ready}")


def crop_faces(
    source: Annotated[Path, argument("IN")],
    out: Annotated[Path, argument("OUT")],
    faces: Annotated[
        Literal["largest", "all"], option(help="Of several faces: largest or all.", show=True)
    ] = "largest",
    margin: Annotated[float, option(metavar="PART", min=0, help="Around a face, of its side.", show=True)] = 0.5,
    min_size: Annotated[int, option(metavar="PIXELS", min=1, help="Drop smaller faces.", show=True)] = 60,
    detector: Annotated[Literal["yunet", "haar"], option(help="yunet, or source 000's haar.", show=True)] = "yunet",
    min_score: Annotated[Optional[float], option(min=0, max=1, help="How sure yunet must be (0.6).")] = None,
    overwrite: Annotated[bool, option("--overwrite", help="Delete what OUT holds.")] = False,
) -> None:
    """Cut out the faces of a folder of pictures, as squares.

    OUT appears when all is done; its faces.jsonl says what was found in each picture, what was dropped, and why.

    \b
    viceversa data faces photos faces
    viceversa data faces frames faces --faces all --margin 0.3 --min-size 100
    """
    from viceversa.data.prepare import detect
    from viceversa.data.prepare.faces import Choice
    from viceversa.data.prepare.faces import crop_faces as crop

    if detector == "haar" and min_score is not None:
        raise typer.BadParameter("--min-score is yunet's; haar tells no scores")
    look = detect.haar(min_size) if detector == "haar" else detect.yunet(0.6 if min_score is None else min_score)
    done = crop(source, out, look, Choice(margin, min_size, faces), overwrite=overwrite, track=track)
    typer.echo(
        f"{out}: {done.written} faces of {done.pictures} pictures; {out / 'faces.jsonl'} says where each is from"
    )
    if dropped := [f"{count} x {reason}" for reason, count in done.dropped.most_common() if count]:
        typer.echo(f"dropped: {', '.join(dropped)}")
    for file, reason in done.failed.items():
        typer.echo(f"viceversa: {file}: {reason}", err=True)
    sys.exit(bool(done.failed))
