"""The files of ONNX Runtime for browsers, from its npm package onnxruntime-web. Nothing here needs torch."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from viceversa.files import cache_folder, locked, replacing_folder

PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
LOADERS = ("ort.webgpu.min.mjs", "ort.wasm.min.mjs")
PART = re.compile(r"(ort-wasm-simd-threaded[.\w]*)\.mjs")


def ort_files(folder: Path | None) -> list[Path]:
    """Return the files that a page needs: the loaders, and the parts that they name.

    They are those of a package that was unpacked in `folder`, else of the cache, else npm fetches it there. Raises
    ValueError, with the remedy, if there are none.
    """
    dist = _fetched() if folder is None else folder / "dist" if (folder / "dist").is_dir() else folder
    loaders = [dist / name for name in LOADERS]
    if any(not path.is_file() for path in loaders):
        raise ValueError(
            f"{folder}: holds no {LOADERS[0]}; name the unpacked npm package {PACKAGE}, {VERSION} or newer"
        )
    return [*loaders, *(dist / part for loader in loaders for part in _parts(loader.read_bytes()))]


def _parts(loader: bytes) -> list[str]:
    """Return the files that a loader loads: by its own text a script, and the program that this names likewise."""
    found = sorted(set(PART.findall(loader.decode("utf-8"))))
    return [f"{name}.{suffix}" for name in found for suffix in ("mjs", "wasm")]


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
