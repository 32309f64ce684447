"""The workspace: the one folder that the studio reads, lists and writes; nothing outside it is ever touched."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from viceversa.config import Config
from viceversa.files import in_training
from viceversa.paths import directions, is_hidden
from viceversa.translate.files import READABLE

OWN, TRASH = ".studio", "trash"
"""Folders of ours in the workspace: uploads, results, the queue; and runs that were deleted."""
FLEETING = ("uploads", "results")
"""Folders in OWN of what is deleted after a day."""
DAY = 86400
DEPTH = 3  # folders below the workspace in which runs and models are looked for
MODELS = (".safetensors", ".onnx")
SERVED = READABLE | {".html", ".zip", *MODELS}
"""Suffixes of the files that the browser may ask for."""


class OutsideError(ValueError):
    """A path that leads out of the workspace, or that a page has no business with."""


class Workspace:
    """A folder, and what lies in it. Paths go to and come from pages as text, relative to it, with forward slashes."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve(strict=True)

    def path(self, name: str) -> Path:
        """Return the real path of a name; raise OutsideError if it is not in the workspace, after all links."""
        try:
            path = (self.root / name).resolve()
        except (OSError, RuntimeError, ValueError):  # too long, a circle of links, a null character
            raise OutsideError(f"{name!r}: no path") from None
        if not path.is_relative_to(self.root):
            raise OutsideError(f"{name}: lies outside the workspace {self.root}")
        return path

    def name(self, path: Path) -> str:
        """Return what a path in the workspace is called."""
        return (self.root / path).relative_to(self.root).as_posix()

    def readable(self, name: str) -> Path:
        """Return a file or folder to read from; raise OutsideError if it, or a link in it, leads out."""
        path = self.path(name)
        if not name.strip() or not path.exists():
            raise FileNotFoundError(f"{name or 'nothing'}: there is no such file or folder in the workspace")
        if leak := next((inner for inner in path.rglob("*") if not self.holds(inner)), None):
            raise OutsideError(f"{self.name(leak)}: a link that leads out of the workspace; copy what it leads to")
        return path

    def served(self, name: str) -> Path:
        """Return a file that the browser may see; raise OutsideError for others, such as hidden ones."""
        path = self.path(name)
        first, *others = path.relative_to(self.root).parts or ("",)
        hidden = any(map(is_hidden, others if first == OWN else (first, *others)))
        if hidden or path.suffix.lower() not in SERVED or not os.path.isfile(path):
            raise OutsideError(f"{name}: no such file")
        return path

    def holds(self, path: Path) -> bool:
        """Whether a path lies in the workspace, after all links."""
        return path.resolve().is_relative_to(self.root)

    def own(self, *parts: str) -> Path:
        """Return a folder of ours, made if it does not exist yet."""
        folder = self.root.joinpath(OWN, *parts)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def fresh(self, kind: str) -> Path:
        """Return a new folder for what is deleted after a day; `kind` is one of FLEETING."""
        return self.own(kind, f"{datetime.now():%H%M%S-%f}")

    def sweep(self) -> None:
        """Delete what is older than a day of that."""
        for kind in FLEETING:
            for old in self.own(kind).iterdir():
                if time.time() - old.stat().st_mtime > DAY:
                    shutil.rmtree(old) if old.is_dir() else old.unlink()

    def log(self, run: str) -> Path:
        """Return the file of what a run's training says."""
        return self.own("logs") / f"{quote(run, safe='')}.log"

    def folders(self) -> list[str]:
        """Return the names of all folders, without runs and what `_walk` leaves out."""
        return [self.name(folder) for folder, _ in self._walk() if folder != self.root and not self._is_run(folder)]

    def runs(self) -> list[str]:
        """Return the names of all runs, the newest first."""
        found = [path for path, _ in self._walk() if self._is_run(path) and self.holds(path / "config.yaml")]
        return [self.name(run) for run in sorted(found, key=_changed, reverse=True)]

    def models(self) -> list[str]:
        """Return what can translate: runs that have weights, and files of weights or ONNX that lie outside runs."""
        runs = [run for run in self.runs() if self.directions(run)]
        files = [folder / name for folder, names in self._walk() if not self._is_run(folder) for name in names]
        return runs + [self.name(file) for file in files if file.suffix in MODELS and self.holds(file)]

    def trashed(self) -> list[str]:
        """Return the names of the runs in the trash folder."""
        return [self.name(path) for path in sorted((self.root / TRASH).glob("*")) if path.is_dir()]

    def directions(self, name: str) -> list[str]:
        """Return the directions that a run translates; none for a run without weights, and for a file."""
        try:
            return [*directions(self.path(name))]
        except OSError:
            return []

    def confined(self, config: Config) -> None:
        """Raise OutsideError if a configuration names a place outside the workspace, or an address."""
        data = config.data
        for place in (config.run, data.root, data.manifest, data.a, data.b, config.init.AtoB, config.init.BtoA):
            if place and ("://" in place or place.startswith("~")):
                raise OutsideError(f"{place}: lies outside the workspace; train with it in a terminal")
            self.path(place or ".")

    def new_run(self, name: str, folder: str = "runs") -> str:
        """Return what a run to be is called; raise ValueError for what is no name, FileExistsError if it is taken."""
        name = name.strip()
        if not re.fullmatch(r"\w[\w .-]{0,99}", name):
            wrong = f"{name}: not a name for a model" if name else "the model has no name yet"
            raise ValueError(f"{wrong}; use letters, digits and dashes")
        if self.path(f"{folder}/{name}").exists():
            raise FileExistsError(f"{folder}/{name}: is there already; choose another name")
        return f"{folder}/{name}"

    def rename(self, run: str, new: str) -> str:
        """Give a run another name, in its folder; raise ValueError or OSError if that cannot be."""
        target = self.new_run(new, Path(run).parent.as_posix())
        return self.name(self._idle(run).rename(self.path(target)))

    def delete(self, run: str) -> str:
        """Move a run to the trash folder, and return its name there."""
        target = self.root / TRASH / f"{Path(run).name}-{datetime.now():%Y%m%d-%H%M%S}"
        target.parent.mkdir(exist_ok=True)
        shutil.move(self._idle(run), target)
        return self.name(target)

    def restore(self, trashed: str) -> str:
        """Move a run from the trash folder back, and return its name."""
        target = self.new_run(Path(trashed).name.rsplit("-", 2)[0])
        self.path(target).parent.mkdir(exist_ok=True)
        return self.name(self.path(trashed).rename(self.path(target)))

    def _idle(self, run: str) -> Path:
        if in_training(self.path(run)):
            raise ValueError(f"{run}: is in training; stop it first")
        return self.path(run)

    def _is_run(self, folder: Path) -> bool:
        return folder != self.root and (folder / "config.yaml").is_file()

    def _walk(self) -> Iterator[tuple[Path, list[str]]]:
        """Yield folders with the names of their files: none behind links, hidden, deep, in the trash or in a run."""
        for name, inner, files in os.walk(self.root):
            folder = Path(name)
            yield folder, sorted(files)
            if self._is_run(folder) or len(folder.relative_to(self.root).parts) == DEPTH:
                inner.clear()
            inner[:] = sorted(one for one in inner if not is_hidden(one) and folder / one != self.root / TRASH)


def disk_used(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _changed(run: Path) -> float:
    return max(path.stat().st_mtime for path in (run / "config.yaml", run / "log.jsonl") if path.is_file())
