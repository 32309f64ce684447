"""A folder that translates in the browser: a page, the network as ONNX, ONNX Runtime. It asks no other server.

ONNX Runtime's files are those of its npm package onnxruntime-web. Nothing here needs torch before they are found.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viceversa.export import Exported, ExportOptions
from viceversa.files import cache_folder, locked, replacing_folder
from viceversa.paths import directions, weights_file

if TYPE_CHECKING:
    from viceversa.nets.weights import Card

PAGE = Path(__file__).parent / "page"
STYLE = Path(__file__).parents[1] / "report" / "templates" / "page.css"
PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
LOADERS = ("ort.webgpu.min.mjs", "ort.wasm.min.mjs")
PART = re.compile(r"(ort-wasm-simd-threaded[.\w]*)\.mjs")


def export_web(model: Path, out: Path, options: ExportOptions) -> list[Exported]:
    """Write the folder, with a network for each direction."""
    runtime = ort_files(options.ort_web)
    from viceversa.export.proof import export_file
    from viceversa.nets.weights import load_generator

    wanted = directions(model) if model.is_dir() and options.direction is None else [options.direction]
    done, shown = list[Exported](), list[dict[str, Any]]()
    with replacing_folder(out, overwrite=options.overwrite) as folder:
        for direction in wanted:
            net, card = load_generator(weights_file(model, direction, ema=options.ema, best=options.best))
            if not {card.in_channels, card.out_channels} <= {1, 3, 4}:
                raise ValueError(f"{model}: a page shows 1, 3 or 4 channels, and this network has others")
            exported = export_file(net, card, folder / f"{card.direction}.onnx", model, options)
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


def ort_files(folder: Path | None) -> list[Path]:
    """Return the files of ONNX Runtime that a page needs: the loaders, and the parts that they name.

    They are those of a package that was unpacked in `folder`, else of the cache, else npm fetches it there.
    """
    dist = _fetched() if folder is None else folder / "dist" if (folder / "dist").is_dir() else folder
    loaders = [dist / name for name in LOADERS]
    if any(not path.is_file() for path in loaders):
        raise ValueError(
            f"{folder}: holds no {LOADERS[0]}; name the unpacked npm package {PACKAGE}, {VERSION} or newer"
        )
    parts = {name for loader in loaders for name in PART.findall(loader.read_text("utf-8"))}
    return [*loaders, *(dist / f"{name}.{suffix}" for name in sorted(parts) for suffix in ("mjs", "wasm"))]


def _fetched() -> Path:
    """Return the folder of the package's files in the cache, where npm brings them if they are missing."""
    folder = cache_folder() / f"{PACKAGE}-{VERSION}"
    with locked(folder):
        if not folder.is_dir():
            npm = shutil.which("npm")
            if npm is None:
                raise ValueError(
                    f"--to web takes the npm package {PACKAGE}, and there is no npm; name its folder with --ort-web"
                )
            with tempfile.TemporaryDirectory() as there:
                command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", there]
                result = subprocess.run(command, capture_output=True, text=True)
                archive = next(Path(there).glob("*.tgz"), None)
                if archive is None:
                    said = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
                    raise ValueError(f"npm did not bring {PACKAGE} ({said}); name its folder with --ort-web")
                with replacing_folder(folder) as temporary, tarfile.open(archive) as package:
                    for member in package:
                        name = member.name.removeprefix("package/dist/")
                        if name in LOADERS or PART.fullmatch(name.replace(".wasm", ".mjs")):
                            package.extract(member.replace(name=name), temporary, filter="data")
    return folder
