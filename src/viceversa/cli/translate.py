"""`viceversa translate` and `viceversa import`."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from viceversa.cli.options import Model, argument, number_of_bytes, option, track


def translate(
    model: Model,
    inputs: Annotated[list[str], argument("INPUT")],
    output: Annotated[Path, argument("OUTPUT")],
    direction: Annotated[Optional[Literal["AtoB", "BtoA"]], option(help="AtoB (default) or BtoA.")] = None,
    overwrite: Annotated[bool, option("--overwrite", help="Replace outputs that exist.")] = False,
    size: Annotated[Optional[int], option(metavar="N", min=1, help="Resize the short side to N pixels first.")] = None,
    strength: Annotated[float, option(metavar="0..1", min=0, max=1, help="How much to change the input.")] = 1.0,
    mask: Annotated[Optional[Path], option(metavar="FILE|FOLDER", help="Change only what is white there.")] = None,
    feather: Annotated[int, option(metavar="N", min=0, help="Soft edge inside the mask, pixels.", show=True)] = 8,
    match_color: Annotated[bool, option("--match-color", help="Keep the colours; change only brightness.")] = False,
    format: Annotated[Optional[str], option(metavar="SUFFIX", help="Write png, jpg, webp, tiff etc.")] = None,
    clip_statistics: Annotated[
        Optional[bool],
        option(help="Normalise all frames alike, against flicker (default: in videos; ask for it in folders)."),
    ] = None,
    smooth: Annotated[
        float, option(metavar="0..1", min=0, max=1, help="Blend frames where a clip stands still.")
    ] = 0.0,
    manifest: Annotated[Optional[Path], option(metavar="FILE.jsonl", help="Add a line for each image to FILE.")] = None,
    save_mask: Annotated[bool, option("--save-mask", help="Also write where it painted, as NAME.mask.png.")] = False,
    samples: Annotated[Optional[int], option(metavar="K", min=1, help="K variations: NAME.1.png etc.")] = None,
    seed: Annotated[Optional[int], option(metavar="N", min=0, help="Another seed draws other samples.")] = None,
    interpolate: Annotated[Optional[Path], option(metavar="IMAGE", help="Go there in 8 or K steps.")] = None,
    backend: Annotated[
        Literal["eager", "auto", "bf16"],
        option("--backend", help="How to compute; auto: bf16 where fast and exact.", show=True),
    ] = "eager",
    batch: Annotated[Optional[int], option(metavar="N", min=1, help="Images of one size at once.")] = None,
    memory: Annotated[
        Optional[int],
        option(metavar="SIZE", parser=number_of_bytes, help="Memory for an image, such as 2GB; default: what is free."),
    ] = None,
    no_ema: Annotated[bool, option("--no-ema", help="Use the last weights, not their moving average.")] = False,
    best: Annotated[bool, option("--best", help="Use the weights that scored best in training.")] = False,
    device: Annotated[str, option(metavar="DEVICE", help="auto, cpu, cuda, cuda:1, mps.", show=True)] = "auto",
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
    from viceversa.translate import TranslateOptions, translate_images
    from viceversa.translate.files import piped

    options = TranslateOptions(
        direction=direction,
        ema=not no_ema,
        best=best,
        size=size,
        samples=samples,
        seed=seed,
        interpolate=interpolate,
        strength=strength,
        mask=mask,
        feather=feather,
        match_color=match_color,
        format=format,
        clip_statistics=clip_statistics,
        smooth=smooth,
        manifest=manifest,
        save_mask=save_mask,
        backend=backend,
        batch=batch,
        memory=memory,
        device=device,
        overwrite=overwrite,
    )
    with piped(inputs, output, format) as (files, target):
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
