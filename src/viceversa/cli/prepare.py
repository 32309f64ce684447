"""`viceversa data convert`, `pair`, `split`, `cache`, `faces` and `colorize`: new data sets from others."""

import shlex
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Optional

import typer

from viceversa.cli.options import Overrides, Source, argument, option, track

if TYPE_CHECKING:
    from viceversa.config import DataConfig

To = Annotated[
    Literal["trainA", "train/A", "paired", "aligned", "csv", "jsonl"],
    option(metavar="LAYOUT", help="trainA, train/A, paired, aligned, csv, jsonl."),
]
Layout = Annotated[str, option(metavar="LAYOUT", help="Insist on what lies there, as data.layout.")]
Link = Annotated[bool, option("--link", help="Hard links instead of copies: no space, same disk.")]
Overwrite = Annotated[bool, option("--overwrite", help="Delete what OUT holds.")]
SHOWN = 10  # names in a message


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
    csv jsonl  a manifest, and the images

    \b
    viceversa data convert datasets/facades facades-folders --to paired
    """
    from viceversa.data.prepare.convert import convert as write

    done = write(_data(root=str(source), layout=layout), out, to, link=link, overwrite=overwrite, track=track)
    _conclude(f"{out}: {to}: {done.counts}", done.alone, done.failed)


def pair(
    a: Annotated[Path, argument("A")],
    b: Annotated[Path, argument("B")],
    out: Annotated[Path, argument("OUT")],
    to: To = "aligned",
    link: Link = False,
    overwrite: Overwrite = False,
) -> None:
    """Join two folders of images of the same names.

    A/cat/7.png belongs to B/cat/7.jpg. What has no partner is named, and left out. Side by side (aligned, unless told
    otherwise), or in another layout.

    \b
    viceversa data pair labels photos facades --to csv
    """
    from viceversa.data.prepare.convert import convert as write

    done = write(_data(a=str(a), b=str(b), layout="paired"), out, to, link=link, overwrite=overwrite, track=track)
    _conclude(f"{out}: {to}: {done.counts}", done.alone, done.failed)


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
    """Divide a data set into training, validation and test images.

    A hash of the name decides, so an image stays on its side when others come or go. Copies of the same image stay
    together, and so do both domains of a scene. Nothing is moved: ROOT/manifest.csv says what belongs where, and
    training finds it. With --out a new folder is written instead.

    \b
    viceversa data split datasets/mine --test 0.1 --val 0.05
    viceversa data split datasets/mine --out datasets/mine-split --link
    """
    from viceversa.data.prepare.split import split_data

    data = _data(root=str(source), layout=layout)
    done = split_data(data, out, test=test, val=val, link=link, overwrite=overwrite, track=track)
    copies = f"; {done.duplicates} copies of others, kept with them" if done.duplicates else ""
    _conclude(f"{done.place}: {done.counts}{copies}", [], done.failed)


def cache(
    root: Annotated[Path, argument("ROOT")],
    out: Annotated[Path, argument("OUT")],
    source: Source = None,
    overrides: Overrides = None,
    dtype: Annotated[
        Literal["exact", "float16", "uint8"], option(help="Of images with more than 8 bits.", show=True)
    ] = "exact",
    overwrite: Overwrite = False,
) -> None:
    """Decode and resize every image once, for training.

    Crops, flips and all else that is random stay with the training, which is bitwise the same as without. Takes a
    preset and KEY=VALUE as train does, for the keys that decide how images are resized. A cache whose files or keys
    have changed is refused, with the command that renews it.

    \b
    viceversa data cache datasets/h2z h2z-cache
    viceversa data cache datasets/h2z h2z-small data.load=72 data.crop=64
    """
    from viceversa.config import load_words

    config = load_words([*filter(None, [source]), *(overrides or []), f"data.root={root}"])
    from viceversa.data.cache import make_cache

    made = make_cache(config.data, out, dtype=dtype, overwrite=overwrite, track=track)
    broken = f"; {len(made.broken)} broken" if made.broken else ""
    train = f"viceversa train {shlex.quote(f'data.root={out}')}"
    typer.echo(f"{out}: {made.note}{broken}; {made.bytes / 1e6:.0f} MB; try: {train}")


def crop_faces(
    source: Annotated[Path, argument("IN")],
    out: Annotated[Path, argument("OUT")],
    faces: Annotated[
        Literal["largest", "all"], option(help="Of several faces: largest or all.", show=True)
    ] = "largest",
    margin: Annotated[float, option(metavar="PART", min=0, help="Around a face, of its side.", show=True)] = 0.5,
    min_size: Annotated[int, option(metavar="PIXELS", min=1, help="Drop smaller faces.", show=True)] = 60,
    min_score: Annotated[float, option(min=0, max=1, help="Drop less certain faces.", show=True)] = 0.6,
    overwrite: Overwrite = False,
) -> None:
    """Cut out the faces in a folder of images, as squares.

    OUT appears when all is done; its faces.jsonl says what was found in each image, what was dropped, and why.

    \b
    viceversa data faces frames faces --faces all --margin 0.3 --min-size 100
    """
    from viceversa.data.prepare import faces as found

    lines = found.crop_faces(
        source,
        out,
        found.yunet(min_score),
        margin=margin,
        min_size=min_size,
        largest=faces == "largest",
        overwrite=overwrite,
        track=track,
    )
    each = [face for line in lines for face in line["faces"]]
    dropped = Counter(f"face {face['dropped']}" for face in each if "dropped" in face)
    dropped["no face"] = sum(not line["faces"] and "failed" not in line for line in lines)
    named = ", ".join(f"{count} x {reason}" for reason, count in dropped.most_common() if count)
    written = f"{sum('written' in face for face in each)} faces of {len(lines)} images, listed in {found.LIST}"
    failed = {line["file"]: line["failed"] for line in lines if "failed" in line}
    _conclude(f"{out}: {written}{'; dropped: ' * bool(named)}{named}", [], failed)


def colorize(
    source: Annotated[Path, argument("IN")], out: Annotated[Path, argument("OUT")], overwrite: Overwrite = False
) -> None:
    """Give label maps of class indices colours, so that a network can tell the classes apart.

    Writes PNGs with a palette, the same for every data set; the indices are still in the pixels. 0 is black, 255 white.

    \b
    viceversa data colorize labels coloured-labels
    """
    from viceversa.data.prepare.colorize import colorize as write

    typer.echo(f"{out}: {write(source, out, overwrite=overwrite, track=track)} label maps")


def _data(**values: str) -> "DataConfig":
    from viceversa.config import DataConfig

    return DataConfig(**values)  # type: ignore[arg-type]  # find() refuses a layout that it does not know


def _conclude(sentence: str, alone: list[str], failed: Mapping[str, str]) -> None:
    """Say what was done, and name what was left out; exit status 1 if something failed."""
    typer.echo(sentence)
    if alone:
        more = f" and {len(alone) - SHOWN} more" if len(alone) > SHOWN else ""
        typer.echo(f"without a partner: {', '.join(alone[:SHOWN])}{more}")
    for reason in failed.values():
        typer.echo(f"viceversa: left out: {reason}", err=True)
    sys.exit(bool(failed))
