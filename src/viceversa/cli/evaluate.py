"""`viceversa evaluate`."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from viceversa.cli.options import argument, existing, option


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
        numbers = map(_number, (line["value"], line["spread"], baseline.get("input"), baseline.get("mean")))
        arrow = "\u2191" if line["protocol"]["better"] == "higher" else "\u2193"
        table.add_row(line["direction"] or "", line["metric"].replace("[", r"\["), arrow, *numbers)
    console.print(table)
    for note in _notes(found, model):
        console.print(note, markup=False)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


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
