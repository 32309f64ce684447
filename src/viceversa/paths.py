"""What the paths that a user names stand for: images in a folder, weights of a run, hf://USER/NAME. Without torch."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

from viceversa.config import Direction

log = logging.getLogger("viceversa")

EXTENSIONS = frozenset([
    ".avif", ".bmp", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".npy",
    ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp",
])  # fmt: skip
"""Suffixes of images that are read and written."""
BESIDES = frozenset({"@eaDir", "#recycle", "#snapshot", "@Recycle", "__MACOSX", "$RECYCLE.BIN", "lost+found"})
DIGITS = re.compile("([0-9]+)")
ON_THE_HUB = re.compile(r"hf:/{1,2}([\w.-]+/[\w.-]+?)/*(?:/([^/].*))?")  # a Path has lost the second slash
KEPT = ["config.yaml", "metrics.jsonl", "weights/*.safetensors"]
"""What makes a run of a repository."""


def list_images(folder: Path, suffixes: frozenset[str] = EXTENSIONS) -> list[Path]:
    """Return the pictures in a folder and its subfolders in natural order (2.png, 10.png), without hidden ones."""
    return [folder / name for name in list_files(folder, suffixes)]


def list_files(folder: Path, suffixes: frozenset[str] = EXTENSIONS) -> list[str]:
    """Return the same as paths within the folder, with forward slashes; none if there is no such folder."""
    return list(_walk(folder, "", set(), suffixes)) if folder.is_dir() else []


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or kept by a system beside the data, such as Synology's thumbnails."""
    return name.startswith(".") or name in BESIDES


def _walk(folder: Path | str, inside: str, seen: set[str], suffixes: frozenset[str]) -> Iterator[str]:
    real = os.path.realpath(folder)
    if real in seen:  # class folders may be links, and a link to a parent must not send us round in circles
        return
    seen.add(real)
    try:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not is_hidden(entry.name)]
    except PermissionError as error:
        log.warning("skipped: %s: %s", folder, error.strerror)
        return
    for entry in sorted(visible, key=lambda entry: natural_key(entry.name)):
        try:
            if entry.is_dir():
                yield from _walk(entry.path, f"{inside}{entry.name}/", seen, suffixes)
            elif os.path.splitext(entry.name)[1].lower() in suffixes and entry.is_file():
                yield inside + entry.name
        except OSError:  # a link that leads to itself
            log.warning("skipped: %s: a link that leads nowhere", entry.path)


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Return a sort key that compares the numbers within names as numbers."""
    words: list[str | int] = [*DIGITS.split(name.casefold())]
    words[1::2] = map(int, words[1::2])
    return words, name


def weights_file(path: Path, direction: Direction | None = None, ema: bool = True, best: bool = False) -> Path:
    """Return the weights file that a run's folder, hf://USER/NAME, or the path itself stands for.

    Of a run with two directions it is AtoB's unless told; without `ema` the last weights instead of their moving
    average, with `best` those that scored best in training. Raises FileNotFoundError or ValueError with the remedy.
    """
    path = local_copy(path)
    if path.is_file():
        return path
    found = directions(path)
    if direction is not None and direction not in found:
        raise ValueError(f"{path}: translates {' and '.join(found)}, not {direction}")
    if best and not ema:
        raise ValueError("the best weights are kept as a moving average only; use --best or --no-ema, not both")
    name = f"{'best-' * best}{direction or found[0]}{'' if ema else '.raw'}.safetensors"
    if best and not (path / "weights" / name).is_file():
        raise FileNotFoundError(f"{path}: has no best weights; a training keeps them with train.evaluate_every")
    return path / "weights" / name


def directions(run: Path) -> list[Direction]:
    """Return the directions that a run's folder has weights for; FileNotFoundError, with the remedy, if it has none."""
    if not run.is_dir():
        raise FileNotFoundError(f"{run}: there is no such run or weights file")
    found = [d for d in get_args(Direction) if (run / "weights" / f"{d}.safetensors").is_file()]
    if not (run / "config.yaml").is_file() and not found:
        raise FileNotFoundError(f"{run}: not a run, it has no config.yaml; name the folder that a training wrote")
    if not found:
        raise FileNotFoundError(f"{run}: has no weights yet; a run writes them with its first checkpoint")
    return found


def local_copy(path: Path) -> Path:
    """Return the local copy of hf://USER/NAME, a run's folder, or of hf://USER/NAME/FILE; any other path as it is."""
    found = ON_THE_HUB.fullmatch(path.as_posix())
    if found is None:
        return path
    repository, file = found.groups()
    with explained(repository):
        from huggingface_hub import hf_hub_download, snapshot_download

        return Path(hf_hub_download(repository, file) if file else snapshot_download(repository, allow_patterns=KEPT))


@contextmanager
def explained(repository: str) -> Iterator[None]:
    """Turn what goes wrong with the hub into one line with a remedy."""
    if find_spec("huggingface_hub") is None:
        raise ValueError('the Hugging Face Hub takes huggingface_hub; pip install "viceversa[hub]"')
    from huggingface_hub import errors

    try:
        yield
    except (errors.RepositoryNotFoundError, errors.LocalTokenNotFoundError):  # the hub does not say which it is
        raise ValueError(f"hf://{repository}: missing, or private; hf auth login, or HF_TOKEN, opens it") from None
    except errors.LocalEntryNotFoundError:
        raise ValueError(f"hf://{repository}: the hub cannot be reached, and there is no copy from before") from None
    except errors.EntryNotFoundError:
        raise ValueError(f"hf://{repository}: has no such file") from None
    except Exception as error:  # of the network, or what the hub answers
        raise ValueError(f"hf://{repository}: {(str(error).strip().splitlines() or ['it failed'])[0]}") from None
