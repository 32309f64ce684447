"""`viceversa evaluate`, `report`, `doctor`, `compare`, `grid` and `info`."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from viceversa.cli.options import Model, Run, argument, existing, option


def evaluate(
    model: Annotated[Optional[Path], argument("RUN|WEIGHTS", callback=existing)] = None,
    overrides: Annotated[Optional[list[str]], argument("DATA|KEY=VALUE")] = None,
    metrics: Annotated[str, option(metavar="LIST", help="kid, fid[inception], psnr, ... with commas between.")] = "",
    data: Annotated[Optional[Path], option(metavar="ROOT", help="Another data set than the run's.")] = None,
    no_ema: Annotated[bool, option("--no-ema", help="Evaluate the last weights, not their moving average.")] = False,
    best: Annotated[bool, option("--best", help="Evaluate the weights that scored best in training.")] = False,
    images: Annotated[Optional[Path], option(metavar="FOLDER", help="Evaluate a folder of images instead.")] = None,
    against: Annotated[Optional[Path], option(metavar="FOLDER", help="Real images, for --images.")] = None,
    device: Annotated[str, option(metavar="DEVICE", help="auto, cpu, cuda, cuda:1, mps.", show=True)] = "auto",
    as_json: Annotated[bool, option("--json", help="Print the lines of metrics.jsonl instead of a table.")] = False,
) -> None:
    """Measure how good translations are.

    Translates the test images in both directions. Where true answers are known: PSNR, SSIM, L1, KID; elsewhere KID
    and FID. Beside each value stands what the untouched input, and the mean of the true answers, would have got. A
    run's values are appended to its metrics.jsonl.

    \b
    viceversa evaluate runs/h2z
    viceversa evaluate runs/h2z --metrics kid,fid[inception]
    viceversa evaluate h2z.onnx datasets/horse2zebra
    viceversa evaluate --images fakes --against truths
    """
    if (model is None) == (images is None) or (images is None) != (against is None):
        raise typer.BadParameter("name a run or a weights file, or two folders with --images and --against")
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise typer.BadParameter("evaluating is the work of one process; start it without torchrun")
    from viceversa.evaluate import evaluate_folders, evaluate_model

    names = [name for name in metrics.split(",") if name]
    words = overrides or []
    if words and "=" not in words[0]:
        data = Path(words.pop(0))
    if images and against:
        found = evaluate_folders(images, against, names, device=device)
    elif model:
        root = [f"data.root={data}", "data.a=", "data.b=", "data.layout=auto"] if data else []
        found = evaluate_model(model, [*root, *words], names, ema=not no_ema, best=best, device=device)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        show(found, model)


def show(found: Sequence[dict[str, Any]], model: Path | None = None) -> None:
    """Print scores as a table, and below it under which conditions they hold."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("", "metric", "", "value", "spread", "input", "mean answer"):
        table.add_column(name, justify="right" if name and name != "metric" else "left", no_wrap=True)
    for line in found:
        baseline = line["baseline"] or {}
        values = line["value"], line["spread"], baseline.get("input"), baseline.get("mean")
        numbers = ["" if value is None else f"{value:.4g}" for value in values]
        arrow = "\u2191" if line["protocol"]["better"] == "higher" else "\u2193"
        table.add_row(line["direction"] or "", line["metric"].replace("[", r"\["), arrow, *numbers)
    console.print(table)
    for note in _notes(found, model):
        console.print(note, markup=False)


def _notes(found: Sequence[dict[str, Any]], model: Path | None) -> list[str]:
    """Say under which conditions values hold: what is common to all first, then what is not."""
    hidden = ("by", "better", "checkpoint")
    protocols = [{k: v for k, v in line["protocol"].items() if k not in hidden} for line in found]
    common = {k: v for k, v in protocols[0].items() if all(p.get(k) == v for p in protocols)}
    first = {"of": model, "step": found[0]["step"], "weights": found[0]["weights"]} if model else {}
    own = [{k: v for k, v in protocol.items() if k not in common} for protocol in protocols]
    notes = [f"{line['metric']}: {_facts(facts)}" for line, facts in zip(found, own, strict=True) if facts]
    return [_facts(first | common), *dict.fromkeys(notes)]


def _facts(facts: dict[str, Any]) -> str:
    return "; ".join(f"{name} {value}" for name, value in facts.items() if value is not None)


def report(run: Run) -> None:
    """Write a run's page, report.html.

    One file that needs no network: images before and after, how they changed during the training, scores, curves,
    what to try next, the configuration, and the command to repeat it. Also works while the training is running.
    """
    from viceversa import report

    path = report.write(run)
    typer.echo(f"{path}: written, {path.stat().st_size / 1e6:.1f} MB")


def compare(words: Annotated[list[Path], argument("RUN|OUT.html")]) -> None:
    """Write a page that compares runs.

    Name the runs, then the page to write. It shows what each run makes of the same test images (those of the first
    run's data), scores, and how the configurations differ.

    \b
    viceversa compare runs/cyclegan runs/cut comparison.html
    """
    from viceversa.report.compare import compare

    *runs, out = words
    compare(runs, out)
    typer.echo(f"{out}: written, {out.stat().st_size / 1e6:.1f} MB")


def doctor(run: Run) -> None:
    """Find out what is wrong with a training, and what to do about it.

    Looks at the samples and the log for inverted brightness, tints, copies, collapse, checkerboards, discriminators
    that are too strong or learn nothing, empty codes. Exit status 1 if something is wrong.
    """
    from viceversa.engine.diagnostics import diagnose

    findings = diagnose(run)
    for finding in findings:
        typer.echo(f"{finding.severity}: {finding.finding}, since step {finding.since}: {finding.message}")
        typer.echo(f"  try: {finding.remedy}")
        typer.echo(f"  see: {run / finding.picture}" if finding.picture else "", nl=bool(finding.picture))
    if not findings:
        typer.echo(f"{run}: nothing found")
    sys.exit(bool(findings))


def grid(
    run: Run,
    out: Annotated[Path, option(metavar="FILE", help="Figure to write, a .png.")],
    rows: Annotated[int, option(metavar="N", min=1, help="Number of test images, evenly spread.", show=True)] = 6,
    pick: Annotated[Optional[str], option(metavar="N,N", help="These test images instead, counted from 1.")] = None,
    columns: Annotated[str, option(metavar="NAMES", help="Columns, in this order.", show=True)] = "input,AtoB",
    labels: Annotated[Optional[str], option(metavar="TEXTS", help="Labels of the columns.")] = None,
    width: Annotated[float, option(metavar="INCHES", min=0.5, help="Width in print.", show=True)] = 6.9,
    dpi: Annotated[int, option(metavar="N", min=30, help="Pixels per inch, at least.", show=True)] = 300,
) -> None:
    """Make a figure for a paper.

    Columns: input, AtoB or BtoA, cycle (there and back), mask (where it paints), truth. Images are enlarged by whole
    pixels, so that nothing is lost.

    \b
    viceversa grid runs/h2z --rows 4 --columns input,AtoB,cycle --out figure.png
    viceversa grid runs/h2z --pick 3,7 --labels Horse,Zebra --out figure.png
    """
    from viceversa.report import figure

    names = [name.strip() for name in columns.split(",")]
    found = figure.columns_of(run, names, rows, figure.numbers(pick) if pick else [])
    shown = figure.labelled(found, labels.split(",") if labels else [])
    drawn = figure.write(out, shown, width=width, dpi=dpi)
    typer.echo(f"{out}: {drawn.width} x {drawn.height} pixels, {width:g} inches wide at {drawn.width / width:.0f} dpi")


def info(model: Model) -> None:
    """Describe a run or a weights file.

    Prints its method, networks, number of parameters, receptive field, and the steps done.
    """
    from viceversa.info import describe

    typer.echo(describe(model))
