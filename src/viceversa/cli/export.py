"""`viceversa export`, `viceversa distill` and `viceversa push`."""

import re
from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from viceversa.cli.options import Model, Overrides, Run, argument, option, track


def export(
    model: Model,
    out: Annotated[Path, argument("OUT")],
    to: Annotated[
        Optional[Literal["onnx", "openvino", "safetensors", "web"]],
        option(help="Format; default: as OUT's suffix says."),
    ] = None,
    direction: Annotated[Optional[Literal["AtoB", "BtoA"]], option(help="AtoB (default) or BtoA; web: both.")] = None,
    precision: Annotated[
        Literal["fp32", "fp16", "int8"], option(help="int8 is calibrated on training images.", show=True)
    ] = "fp32",
    with_io: Annotated[bool, option("--with-io", help="Take and return uint8 (B, H, W, C).")] = False,
    images: Annotated[
        Optional[Path], option(metavar="FOLDER", help="Prove on these images, not on those of the run.")
    ] = None,
    licence: Annotated[Optional[str], option(metavar="NAME", help="Licence of the weights, kept in the file.")] = None,
    ort_web: Annotated[
        Optional[Path], option(metavar="FOLDER", help="npm's package onnxruntime-web; default: fetched by npm.")
    ] = None,
    best: Annotated[bool, option("--best", help="Use the weights that scored best in training.")] = False,
    no_ema: Annotated[bool, option("--no-ema", help="Use the last weights, not their moving average.")] = False,
    overwrite: Annotated[bool, option("--overwrite", help="Replace OUT if it exists.")] = False,
) -> None:
    """Export a trained generator for other programs.

    The file takes any number of images of any size that the network takes. It is compared with PyTorch on real images;
    how exact and how fast it is gets printed, and one that is not exact enough is not kept. `viceversa translate` runs
    it like a run. The run stays as it is.

    \b
    viceversa export runs/h2z h2z.onnx
    viceversa export runs/h2z h2z.onnx --precision int8 --with-io
    viceversa export runs/h2z h2z.xml --direction BtoA
    viceversa export runs/h2z page --to web
    viceversa translate h2z.onnx photos out
    """
    from viceversa.export import ExportOptions, export_model

    options = ExportOptions(
        to=to,
        direction=direction,
        precision=precision,
        with_io=with_io,
        ema=not no_ema,
        best=best,
        images=images,
        licence=licence,
        ort_web=ort_web,
        overwrite=overwrite,
    )
    for done in export_model(model, out, options):
        typer.echo(f"{done.path}: {done.direction}, {precision}, {done.proof.size / 1e6:.1f} MB")
        typer.echo(str(done.proof))


def distill(
    run: Run,
    out: Annotated[Path, argument("OUT")],
    overrides: Overrides = None,
    width: Annotated[int, option(metavar="N", min=1, help="Channels of its first layer.", show=True)] = 16,
    blocks: Annotated[
        Optional[int], option(metavar="N", min=0, help="Residual blocks; default: as its teacher.")
    ] = None,
    direction: Annotated[Optional[Literal["AtoB", "BtoA"]], option(help="AtoB (default) or BtoA.")] = None,
    best: Annotated[bool, option("--best", help="Learn from the weights that scored best in training.")] = False,
) -> None:
    """Train a small, fast generator on the answers of a trained one.

    The teacher translates the images of its run once, into OUT/teacher. On these pairs the student trains, configured
    like its teacher but for the method and for what you type. OUT is a run like any other; the same command again
    continues. Prints how close to the teacher and how fast it is.

    \b
    viceversa distill runs/h2z runs/h2z-small --width 16
    viceversa distill runs/h2z runs/h2z-tiny --width 8 --blocks 4 "train.length=20 epochs"
    """
    from viceversa.paths import weights_file

    if out.resolve().is_relative_to(run.resolve()):
        raise typer.BadParameter(f"{out}: lies in the run, which stays as it is; name another folder")
    weights_file(run, direction, best=best)  # or say what is missing

    from viceversa.export.distill import DistillOptions, distill

    options = DistillOptions(width, blocks, direction, best, overrides or [])
    proof = distill(run, out, options, track)
    typer.echo(f"{out}: {proof.size / 1e6:.1f} MB, {proof.speed:.1f} times as fast as its teacher")
    typer.echo(f"{proof.psnr:.1f} dB to the teacher on {proof.images} images; mean error {proof.mean:.1e}")


def push(
    run: Run,
    repository: Annotated[str, argument("USER/NAME")],
    private: Annotated[bool, option("--private", help="A new repository is only seen by you.")] = False,
    licence: Annotated[
        Optional[str], option(metavar="NAME", help="Licence of the weights, as the hub calls it: mit, cc-by-4.0.")
    ] = None,
) -> None:
    """Publish a run on the Hugging Face Hub.

    Weights, configuration, the networks as ONNX, samples, scores, and a model card written from them; no checkpoints,
    no logs, no paths of this machine. Anybody then names it hf://USER/NAME where a run or a weights file is asked for.

    \b
    viceversa push runs/h2z me/horse2zebra --licence cc-by-4.0
    viceversa translate hf://me/horse2zebra photos out
    """
    from viceversa.export.push import push

    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise typer.BadParameter(f"{repository}: should be USER/NAME, such as me/horse2zebra")
    typer.echo(f"{push(run, repository, private=private, licence=licence)}: published")
