"""`viceversa data get` and `viceversa data faces`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from viceversa.cli.words import argument, option, transfer


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
    from viceversa.data.get import get_set, known

    if name is None or listing:
        for each in SETS:
            size = f"{each.megabytes:,} MB" if each.megabytes else ""
            typer.echo(f"{each.name:24}{size:>9}  {each.title}{'  (Kaggle)' if each.kaggle else ''}")
        return
    wanted, out = known(name), out or Path("datasets", name)
    with transfer("downloading") as downloading, transfer("unpacking") as unpacking:
        root = get_set(wanted, out, keep=keep, downloading=downloading, unpacking=unpacking)
    ready = f"try: viceversa train {wanted.train} data.root={root}" if wanted.train else wanted.note
    typer.echo(f"{out}: {wanted.title}; {ready}")
