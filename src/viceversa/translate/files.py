"""Which images to translate, and where each translation goes. Nothing here needs torch."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from viceversa.paths import EXTENSIONS, list_images

HEIC = frozenset({".heic", ".heif"})
"""Suffixes of images that are read, but not written."""
VIDEOS = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})
READABLE, WRITABLE = EXTENSIONS | HEIC | VIDEOS, EXTENSIONS | VIDEOS


def is_video(path: Path) -> bool:
    """Whether a file is a video, by its suffix."""
    return path.suffix.lower() in VIDEOS


def plan(inputs: Sequence[str], output: Path, format: str | None = None) -> list[tuple[Path, Path]]:
    """Return (input file, output file) for files, folders with their subfolders, and globs.

    A single file goes to `output` when that has an image's suffix, else into the folder `output`. Outputs keep their
    input's place below the folder, or below the part of a glob before its first wildcard, and their input's suffix
    (JPEG's for HEIC) unless `format` names another.
    """
    refuse(output.suffix.lower() in HEIC, f"{output}: HEIC is read, but not written; name a .jpg or .png file")
    names_a_file = output.suffix.lower() in WRITABLE and not output.is_dir()
    pairs: list[tuple[Path, Path]] = []
    for name in inputs:
        path = Path(name)
        if path.is_file():
            pairs.append((path, output if names_a_file else output / path.name))
            continue
        refuse(path.resolve() == output.resolve(), f"{output}: is the input itself; give another folder")
        root = path if path.is_dir() else _before_wildcards(path)
        files = _without(list_images(path, READABLE) if path.is_dir() else _matches(path, root), output, root)
        if not files:
            raise FileNotFoundError(f"{name}: {_nothing(path)}")
        refuse(names_a_file, f"{output}: is the name of one image, not of {len(files)}; give a folder")
        pairs += [(file, output / file.relative_to(root)) for file in files]
    several = len(pairs) > 1 and names_a_file
    refuse(several, f"{output}: is the name of one image, not of {len(pairs)}; give a folder")
    pairs = [(file, target.with_suffix(".jpg") if target.suffix.lower() in HEIC else target) for file, target in pairs]
    if format is not None:
        known = ", ".join(sorted(suffix[1:] for suffix in WRITABLE))
        refuse(f".{format}" not in WRITABLE, f"--format {format}: cannot be written; use one of {known}")
        refuse(names_a_file, f"{output}: names the format already; omit --format")
        pairs = [(file, target.with_suffix(f".{format}")) for file, target in pairs]
    for file, target in pairs:
        refuse(file.suffix.lower() not in READABLE, f"{file}: not an image, by its suffix")
        refuse(target.suffix.lower() not in WRITABLE, f"{target}: not an image's suffix; name a .png file")
        refuse(file.resolve() == target.resolve(), f"{target}: is the input itself; give another folder or name")
    check_writable(output.parent if names_a_file else output)
    return pairs


@contextmanager
def piped(inputs: Sequence[str], output: Path, format: str | None) -> Iterator[tuple[Sequence[str], Path]]:
    """Give files in the place of `-`: of standard input, and of standard output, which gets the file in the end."""
    if "-" not in (*inputs, str(output)):
        yield inputs, output
        return
    refuse(len(inputs) > 1, "-: is one image, and goes with no other")
    with TemporaryDirectory(prefix="viceversa-") as folder:
        source, suffix = Path(inputs[0]), f".{format}" if format else ""
        if inputs[0] == "-":
            content = sys.stdin.buffer.read()
            refuse(not content, "-: standard input is empty")
            source = Path(folder) / f"standard input{suffix_of(content)}"
            source.write_bytes(content)
        if str(output) != "-":
            yield [str(source)], output
            return
        target = Path(folder) / f"out{suffix or (source.suffix if source.suffix.lower() in WRITABLE else '.jpg')}"
        yield [str(source)], target
        if target.exists():
            sys.stdout.buffer.write(target.read_bytes())
            sys.stdout.buffer.flush()


def suffix_of(content: bytes) -> str:
    """Return the usual suffix of what Pillow takes a file for; .png for what it does not, so that this is said."""
    from PIL import Image

    if content[4:8] == b"ftyp" and content[8:11] in (b"hei", b"hev", b"mif", b"msf"):
        return ".heic"
    try:
        with Image.open(BytesIO(content)) as image:
            return {"JPEG": ".jpg", "MPO": ".jpg", "JPEG2000": ".jp2"}.get(image.format, f".{image.format.lower()}")
    except Exception:
        return ".npy" if content.startswith(b"\x93NUMPY") else ".png"


def masks_for(pairs: Sequence[tuple[Path, Path]], masks: Path, output: Path) -> dict[Path, Path]:
    """Return the mask of each input: `masks` itself, or the image of its name in this folder, if there is one."""
    if masks.is_file():
        return dict.fromkeys((file for file, _ in pairs), masks)
    named = {path.relative_to(masks).with_suffix(""): path for path in list_images(masks)}
    found = {}
    for file, target in pairs:
        name = target.relative_to(output) if output in target.parents else Path(file.name)
        if name.with_suffix("") in named:
            found[file] = named[name.with_suffix("")]
    return found


def _before_wildcards(pattern: Path) -> Path:
    """Return the part of a glob before its first wildcard. What exists is no wildcard, whatever its name is."""
    root = Path(pattern.anchor)
    for part in pattern.relative_to(root).parts[:-1]:
        if glob.has_magic(part) and not (root / part).exists():
            break
        root /= part
    return root


def _matches(pattern: Path, root: Path) -> list[Path]:
    found = glob.glob(os.path.join(glob.escape(str(root)), pattern.relative_to(root)), recursive=True)
    return [path for path in map(Path, sorted(found)) if path.suffix.lower() in READABLE and path.is_file()]


def _without(files: list[Path], output: Path, root: Path) -> list[Path]:
    """Leave out what an earlier call wrote into a folder below that of the inputs."""
    inside = output.resolve()
    if root.resolve() not in inside.parents:
        return files
    return [file for file in files if inside not in file.resolve().parents]


def _nothing(path: Path) -> str:
    if path.is_dir():
        return "no images in it"
    return "matches no images" if glob.has_magic(str(path)) else "there is no such file or folder"


def check_writable(folder: Path) -> None:
    """Raise ValueError if files cannot be written into a folder, which need not exist yet."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    refuse(not there.is_dir(), f"{there}: is a file, not a folder; give another output")
    refuse(not os.access(there, os.W_OK | os.X_OK), f"{there}: cannot be written to; give another output")


def refuse(wrong: bool, message: str) -> None:
    """Raise ValueError with the message if something is wrong."""
    if wrong:
        raise ValueError(message)
