"""A folder that translates in the browser: a page, the network as ONNX, ONNX Runtime. It asks no other server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from viceversa.backends import load_network
from viceversa.export import Exported, ExportOptions
from viceversa.export.files import export_file
from viceversa.files import replacing_folder
from viceversa.nets.weights import Card
from viceversa.paths import directions, weights_file

PAGE = Path(__file__).parent / "page"
STYLE = Path(__file__).parents[1] / "report" / "templates" / "page.css"


def export_web(model: Path, out: Path, runtime: Sequence[Path], options: ExportOptions) -> list[Exported]:
    """Write the folder, with a network for each direction; `runtime` are the files of onnxruntime-web."""
    wanted = directions(model) if model.is_dir() and options.direction is None else [options.direction]
    done, shown = list[Exported](), list[dict[str, Any]]()
    with replacing_folder(out, overwrite=options.overwrite) as folder:
        for direction in wanted:
            weights = weights_file(model, direction, ema=options.ema, best=options.best)
            exported = export_file(weights, folder / f"{direction or 'model'}.onnx", model, options)
            net, card = load_network(exported.path)
            if not {card.in_channels, card.out_channels} <= {1, 3, 4}:
                raise ValueError(f"{weights}: a page shows 1, 3 or 4 channels, and this network has others")
            shown.append({
                "name": card.direction,
                "file": exported.path.name,
                "size": net.size,
                "trained_size": card.size,
                "multiple": net.multiple,
                "in_channels": card.in_channels,
            })  # fmt: skip
            done.append(replace(exported, path=out / exported.path.name))
        about = {"name": model.resolve().stem, "directions": shown, "facts": _facts(card, options)}
        (folder / "model.json").write_text(json.dumps(about, indent=1), "utf-8")
        for name in ("index.html", "page.js", "worker.js"):
            shutil.copyfile(PAGE / name, folder / name)
        (folder / "page.css").write_text(STYLE.read_text("utf-8") + (PAGE / "page.css").read_text("utf-8"), "utf-8")
        (folder / "ort").mkdir()
        for path in runtime:
            shutil.copyfile(path, folder / "ort" / path.name)
    return done


def _facts(card: Card, options: ExportOptions) -> str:
    """Return a sentence on where the network comes from."""
    method, step = card.trained.get("method"), card.trained.get("step")
    trained = f"Trained with {method} for {step} steps on crops of {card.size} pixels. " if method and step else ""
    return f"{trained}Licence of the weights: {options.licence or 'not stated'}."
