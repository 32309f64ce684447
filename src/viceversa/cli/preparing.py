"""`viceversa data convert`, `pair` and `split`: other forms of the same pictures."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from viceversa.cli.options import Overrides, Source, argument, option, track

To = Annotated[
    Literal["trainA", "train/A", "paired", "aligned", "csv", "jsonl", "parquet"],
    option(metavar="LAYOUT", help="trainA, train/A, paired, aligned, csv, jsonl, parquet."),
]
Layout = Annotated[str, option(metavar="LAYOUT", help="Insist on what lies there, as data.layout.")]
Link = Annotated[bool, option("--link", help="Hard links instead of copies: no space, same disk.")]
Overwrite = Annotated[bool, option("--overwrite", help="Delete what OUT holds.")]
SHOWN = 10


def convert(
    source: Annotated[Path, argument("ROOT")],
    out: Annotated[Path, argument("OUT")],
    to: To,
    layout: Layout = "auto",
    link: Link = False,
    overwrite: Overwrite = False,
) -> None:
    """Write a data set in another layout.

    Files are copied byte for byte. Only cutting and joining side-by-side files makes new ones, as PNG, so no pixel
    changes. OUT appears when it is whole.

    \b
    trainA     trainA/ trainB/ testA/ testB/   paired   the same, pairs only
    train/A    train/A/ train/B/ test/A/ ...   aligned  train/, side by side
    csv jsonl  a manifest, and the pictures    parquet  shards of 500 MB

    \b
    viceversa data convert datasets/facades facades-folders --to paired
    """
    from viceversa.config import DataConfig
    from viceversa.data.prepare.convert import convert as write

    data = DataConfig(root=str(source), layout=layout)  # type: ignore[arg-type]  # find() refuses what it does not know
    outcome = write(data, out, to, link=link, overwrite=overwrite, track=track)
    _report(f"{out}: {to}: {outcome.counts}", outcome.alone, outcome.failed)


def pair(
    a: Annotated[Path, argument("A")],
    b: Annotated[Path, argument("B")],
    out: Annotated[Path, argument("OUT")],
    to: To = "aligned",
    link: Link = False,
    overwrite: Overwrite = False,
) -> None:
    """Join two folders of pictures of the same names.

    A/cat/7.png belongs to B/cat/7.jpg. What has no partner is named, and left out. Side by side (aligned, unless told
    otherwise), or in another layout.

    \b
    viceversa data pair labels photos facades
    viceversa data pair labels photos facades --to csv
    """
    from viceversa.config import DataConfig
    from viceversa.data.prepare.convert import convert as write

    data = DataConfig(a=str(a), b=str(b), layout="paired")
    outcome = write(data, out, to, link=link, overwrite=overwrite, track=track)
    _report(f"{out}: {to}: {outcome.counts}", outcome.alone, outcome.failed)


def split(
    source: Annotated[Path, argument("ROOT")],
    test: Annotated[
        Optional[float], option(metavar="PART", help="For testing (0.1 if there is no test split).")
    ] = None,
    val: Annotated[Optional[float], option(metavar="PART", help="For validation.")] = None,
    out: Annotated[Optional[Path], option(metavar="FOLDER", help="Write a new data set there.")] = None,
    layout: Layout = "auto",
    link: Link = False,
    overwrite: Annotated[bool, option("--overwrite", help="Replace the manifest, or what FOLDER holds.")] = False,
) -> None:
    """Divide a data set into training, validation and test pictures.

    A hash of the name decides, so a picture stays on its side when others come or go. Copies of the same picture stay
    together, and so do both worlds of a scene. Nothing is moved: ROOT/manifest.csv says what belongs where, and
    training finds it. With --out a new folder is written instead.

    \b
    viceversa data split datasets/mine --test 0.1 --val 0.05
    viceversa data split datasets/mine --out datasets/mine-split --link
    """
    from viceversa.config import DataConfig
    from viceversa.data.prepare.split import split_data

    data = DataConfig(root=str(source), layout=layout)  # type: ignore[arg-type]  # find() refuses what it does not know
    done = split_data(data, out, test=test, val=val, link=link, overwrite=overwrite, track=track)
    copies = f"; {done.duplicates} copies of others, kept with them" if done.duplicates else ""
    _report(f"{done.place}: {done.counts}{copies}", [], done.failed)


def cache(
    root: Annotated[Path, argument("ROOT")],
    out: Annotated[Path, argument("OUT")],
    source: Source = None,
    overrides: Overrides = None,
    dtype: Annotated[
        Literal["exact", "float16", "uint8"], option(help="Of pictures with more than 8 bits.", show=True)
    ] = "exact",
    overwrite: Overwrite = False,
) -> None:
    """Decode and resize every picture once, for training.

    Crops, flips and other chance stay with the training, which is bitwise the same as without. Takes a preset and
    KEY=VALUE as train does, for the keys that decide how pictures are resized. A cache whose files or keys have changed
    is refused, with the command that renews it.

    \b
    viceversa data cache datasets/h2z h2z-cache
    viceversa train cyclegan data.root=h2z-cache
    viceversa data cache datasets/h2z h2z-small data.load=72 data.crop=64
    """
    from viceversa.config import load_words

    config = load_words([*filter(None, [source]), *(overrides or []), f"data.root={root}"])
    from viceversa.data.cache import make_cache

    made = make_cache(config.data, out, dtype=dtype, overwrite=overwrite, track=track)
    broken = f"; {len(made.broken)} broken" if made.broken else ""
    typer.echo(f"{out}: {made.note}{broken}; {made.bytes / 1e6:.0f} MB; try: viceversa train data.root={out}")


def _report(sentence: str, alone: list[str], failed: Mapping[str, str]) -> None:
    """Say what was done, and name what was left out; exit status 1 if something failed."""
    typer.echo(sentence)
    if alone:
        typer.echo(f"without a partner: {_some(alone)}")
    for reason in failed.values():
        typer.echo(f"viceversa: left out: {reason}", err=True)
    sys.exit(bool(failed))


def _some(names: Iterable[str]) -> str:
    """Return the first few names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
