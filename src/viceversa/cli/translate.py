"""`viceversa translate` and `viceversa import`."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from viceversa.cli.options import Model, argument, number_of_bytes, option, takes, track
from viceversa.options import TranslateOptions


@takes(TranslateOptions, memory=number_of_bytes)
def translate(
    model: Model,
    inputs: Annotated[list[str], argument("INPUT")],
    output: Annotated[Path, argument("OUTPUT")],
    options: TranslateOptions,
) -> None:
    """Translate images with a trained model.

    INPUT is an image, a folder with its subfolders, or a glob; give one or more. OUTPUT is a folder, or a file for one
    image. A dash is standard input or output.
    Outputs that exist are left as they are, so the same command again continues. Every image keeps its size. A network
    changes little in images much larger than those it was trained on: resize them with --size.
    Variational generators can also draw variations (--samples) and interpolate between images (--interpolate).

    \b
    viceversa translate runs/h2z photos out
    viceversa translate runs/h2z "photos/**/*.jpg" out --direction BtoA
    viceversa translate runs/h2z/weights/AtoB.safetensors horse.jpg zebra.png
    viceversa translate runs/vae face.png out --samples 4
    viceversa translate runs/h2z photos out --mask horses --strength 0.8
    viceversa translate runs/h2z clip.mp4 zebras.mp4
    viceversa translate runs/h2z photos out --backend auto
    """
    from viceversa.translate import translate_images
    from viceversa.translate.files import piped

    with piped(inputs, output, options.format) as (files, target):
        if target != output:
            options = replace(options, format=None)
        result = translate_images(model, files, target, options, track)
    to_stdout = str(output) == "-"
    for file, reason in result.failed.items():
        typer.echo(f"viceversa: {file.stem if inputs == ['-'] else file}: {reason}", err=True)
    failed = f", {len(result.failed)} failed" if result.failed else ""
    several = f" as {result.files} files" if result.files > len(result.written) else ""
    typer.echo(f"{output}: {len(result.written)} translated {result.direction}{several}{failed}", err=to_stdout)
    for line in result.flicker:
        typer.echo(line, err=to_stdout)
    if result.backend:
        typer.echo(result.backend, err=to_stdout)
    if result.skipped:
        typer.echo(f"{len(result.skipped)} skipped, as they exist; --overwrite replaces them")
    sys.exit(bool(result.failed))


def import_weights(
    source: Annotated[Path, argument("WEIGHTS")],
    target: Annotated[Path, argument("OUT.safetensors")],
    direction: Annotated[Literal["AtoB", "BtoA"], option(help="Which way it translates.", show=True)] = "AtoB",
    inference: Annotated[
        Literal["running", "image", "original"],
        option(help="How its batch norm and dropout behave; see the key inference.", show=True),
    ] = "running",
    key: Annotated[
        Optional[str], option(metavar="NAME", help="Which network of a file that holds several, such as G_A.")
    ] = None,
    overwrite: Annotated[bool, option("--overwrite", help="Replace OUT.safetensors if it exists.")] = False,
) -> None:
    """Turn a generator that another code saved into a weights file.

    Reads what the original CycleGAN, pix2pix and CUT codes and their relatives write, and finds out the architecture by
    itself. Nothing but tensors is unpickled.

    \b
    viceversa import latest_net_G_A.pth horse2zebra.safetensors
    viceversa translate horse2zebra.safetensors photos out
    """
    from viceversa.interop import import_generator

    found = import_generator(source, target, direction, inference, key=key, overwrite=overwrite)
    typer.echo(f"{target}: {found.network['name']}, {found.in_channels} to {found.out_channels} channels, {direction}")
