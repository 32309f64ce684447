"""`viceversa translate` and `viceversa import`."""

import sys
from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from viceversa.cli.options import Model, argument, option, track


def translate(
    model: Model,
    sources: Annotated[list[str], argument("INPUT")],
    target: Annotated[Path, argument("OUTPUT")],
    direction: Annotated[Optional[Literal["AtoB", "BtoA"]], option(help="AtoB (unless told) or BtoA.")] = None,
    overwrite: Annotated[bool, option("--overwrite", help="Replace outputs that exist.")] = False,
    save_mask: Annotated[bool, option("--save-mask", help="Also write where it painted, as NAME.mask.png.")] = False,
    size: Annotated[Optional[int], option(metavar="N", min=1, help="Short side to resize to first, pixels.")] = None,
    samples: Annotated[Optional[int], option(metavar="K", min=1, help="K variations: NAME.1.png etc.")] = None,
    seed: Annotated[Optional[int], option(metavar="N", min=0, help="Another seed draws other samples.")] = None,
    interpolate: Annotated[Optional[Path], option(metavar="PICTURE", help="Walk there in 8 or K steps.")] = None,
    route: Annotated[
        Literal["eager", "auto", "bf16", "onnx", "openvino", "int8"],
        option(help="How to compute; auto: the fastest here whose results look the same.", show=True),
    ] = "eager",
    calibrate: Annotated[Optional[Path], option(metavar="FOLDER", help="Pictures to set int8's ranges on.")] = None,
    batch: Annotated[Optional[int], option(metavar="N", min=1, help="Pictures of one size at once.")] = None,
    raw: Annotated[bool, option("--raw", help="Use the last weights, not their moving average.")] = False,
    best: Annotated[bool, option("--best", help="Use the weights that scored best in training.")] = False,
    device: Annotated[str, option(metavar="DEVICE", help="auto, cpu, cuda, cuda:1, mps.", show=True)] = "auto",
) -> None:
    """Translate pictures with a trained model.

    INPUT is a picture, a folder with its subfolders, or a glob; several may follow each other. OUTPUT is a folder, or a
    file for one picture.
    What exists is not touched: the same command again continues. Every picture keeps its size; one much larger than
    those in training hardly changes, so bring it near their size with --size.
    Variational generators also draw variations (--samples) and walk between pictures (--interpolate).

    \b
    viceversa translate runs/h2z photos out
    viceversa translate runs/h2z "photos/**/*.jpg" out --direction BtoA
    viceversa translate runs/h2z/weights/AtoB.safetensors horse.jpg zebra.png
    viceversa translate runs/vae face.png out --samples 4
    viceversa translate runs/h2z photos out --route auto
    """
    from viceversa.translate import How, Wanted, translate_pictures

    wanted = Wanted(save_mask, samples, interpolate, seed, size)
    outcome = translate_pictures(
        model,
        sources,
        target,
        direction,
        wanted=wanted,
        how=How(route, calibrate, batch),
        raw=raw,
        best=best,
        device=device,
        overwrite=overwrite,
        track=track,
    )
    failed = f", {len(outcome.failed)} failed" if outcome.failed else ""
    several = f" as {outcome.files} files" if outcome.files > len(outcome.written) else ""
    typer.echo(f"{target}: {len(outcome.written)} translated {outcome.direction}{several}{failed}")
    if outcome.route:
        typer.echo(outcome.route)
    if outcome.kept:
        typer.echo(f"{len(outcome.kept)} there already; --overwrite replaces them")
    for file, reason in outcome.failed.items():
        typer.echo(f"viceversa: {file}: {reason}", err=True)
    sys.exit(bool(outcome.failed))


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
