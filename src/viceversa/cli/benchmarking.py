"""`viceversa bench`."""

from typing import Annotated, Literal, Optional

import typer

from viceversa.cli.options import Overrides, Source, option


def bench(
    source: Source = None,
    overrides: Overrides = None,
    steps: Annotated[int, option(metavar="N", help="Steps to measure, after one for warmth.", show=True, min=1)] = 5,
    against: Annotated[
        Optional[Literal["eager-fp32"]], option(help="Also take plain steps, as the originals do, in turn with ours.")
    ] = None,
    as_json: Annotated[bool, option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure what a training step costs here.

    Images per second, where the time goes, how near to what the machine can do, memory, start-up. Pictures are
    generated when no data is named.

    \b
    viceversa bench cyclegan train.precision=bf16 --against eager-fp32
    viceversa bench pix2pix data.crop=128 data.load=128 generator.depth=7
    """
    from viceversa.config import load_words

    config = load_words([*filter(None, [source]), *(overrides or [])])
    import json

    from viceversa.bench import measure
    from viceversa.bench.table import table

    facts = measure(config, steps=steps, against=against)
    typer.echo(json.dumps(facts, indent=2) if as_json else table(facts))
