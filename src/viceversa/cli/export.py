"""`viceversa export`, `viceversa distill` and `viceversa push`."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Optional

import typer

from viceversa.cli.options import Model, Overrides, Run, argument, option, takes, track
from viceversa.options import DistillOptions, ExportOptions


@takes(ExportOptions)
def export(model: Model, out: Annotated[Path, argument("OUT")], options: ExportOptions) -> None:
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
    from viceversa.export import export_model

    for done in export_model(model, out, options):
        typer.echo(f"{done.path}: {done.direction}, {options.precision}, {done.proof.size / 1e6:.1f} MB")
        typer.echo(str(done.proof))


@takes(DistillOptions)
def distill(
    run: Run, out: Annotated[Path, argument("OUT")], options: DistillOptions, overrides: Overrides = None
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
    weights_file(run, options.direction, best=options.best)  # or say what is missing

    from viceversa.export.distill import distill

    proof = distill(run, out, replace(options, overrides=overrides or []), track)
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
